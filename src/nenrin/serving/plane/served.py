"""A deployment that is ready to answer, and when its rows are asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from nenrin.core.calendar import Calendar
from nenrin.core.errors import NotFoundError, RequestError
from nenrin.core.instants import local_midnight, to_us
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.asking import Asking
from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.questions import Question
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.plane.shadow import Scoring
from nenrin.serving.ports import LiveRoute
from nenrin.serving.router import Router
from nenrin.training.records import LEFT_OUT, Records


class Served:
    """A deployment that is ready to answer.

    Attributes:
        deployment: its state.
        reader: reads its requests.
        router: deals keys to variants.
        runtimes: one a variant of the route, in its order.
        asking: asks them, and whoever answers in their place.
        forms: which form of its models answers in each version.
        live: the route as it was read.
        scoring: scores what they have answered, where the route has a shadow.
    """

    def __init__(
        self,
        live: LiveRoute,
        reader: RowReader,
        runtimes: Sequence[Runtime],
        calendar: Calendar,
        asking: Asking,
        scoring: Scoring | None = None,
    ) -> None:
        self.live = live
        self.deployment: Deployment = live.deployment
        self.reader = reader
        self.router = Router(live.deployment.route)
        self.runtimes = runtimes
        self.asking = asking
        self.forms = live.forms
        self.scoring = scoring
        self._stands_at = live.stands_at
        self._calendar = calendar

    @property
    def loaded(self) -> list[Runtime]:
        """Its runtimes, and the one that answers in their place where it is loaded still."""
        former = self.asking.former
        return [*self.runtimes, *([former] if former is not None else [])]

    @property
    def bytes(self) -> int:
        """What its versions take, those that answer in their place and the shadow's too."""
        shadow = self.scoring.bytes if self.scoring else 0
        return shadow + sum(runtime.bytes for runtime in {*self.loaded})

    @property
    def requests(self) -> int:
        """How often it was asked since it was opened."""
        spent = [runtime.spent for runtime in {*self.runtimes}]
        return sum(each.success.count + each.fail.count for each in spent)

    @property
    def now(self) -> int:
        """The calendar's instant: where it stands, or the machine's."""
        return self._calendar.now() if self._stands_at is None else self._stands_at

    def index(self, version: str) -> int:
        """The place of a version among the runtimes.

        Raises:
            NotFoundError: it is not one of those that are served.
        """
        return index(version, [runtime.version for runtime in self.runtimes], self.deployment.name)

    def questions(self, rows: Records, now: int, requests: int = 1) -> Question:
        """The rows of so many requests, each with the instant it is asked at: ``now`` at the latest."""
        asked = asked_at(self.deployment, rows, now)
        request = self.deployment.request
        return Question(rows, asked, request.lookup, requests, request.unseen == "refuse")


def index(version: str, versions: Sequence[str], name: str) -> int:
    """The place of a version among those of a deployment's route.

    Raises:
        NotFoundError: it is not one of them.
    """
    if version not in versions:
        raise NotFoundError(
            f"deployment {name!r} does not serve version {version!r}",
            hint=f"versions served: {', '.join(versions)}",
        )
    return versions.index(version)


def asked_at(deployment: Deployment, rows: Records, now: int) -> list[int]:
    """The instant (us) that each row is asked at: as its time column says, where that is sent.

    Nobody asks later than now: of a row that lies ahead, what is known now is what can be known.
    """
    request = deployment.request
    if request.time is None or request.time in rows.nulls:
        return [now] * len(rows)
    zone, shift = request.zone or "UTC", request.shift
    return [
        now if moment is None or moment is LEFT_OUT else min(_instant(moment, zone) + shift, now)
        for moment in rows.columns[request.time]
    ]


def _instant(moment: date, zone: str) -> int:
    """An instant in microseconds; of a date its first, as a training has it."""
    try:
        return to_us(moment) if isinstance(moment, datetime) else local_midnight(moment, zone)
    except OverflowError:
        raise RequestError(
            f"{moment} in {zone} is before or after all times that can be told",
            hint="send a time of the years 2 to 9998, or null",
        ) from None
