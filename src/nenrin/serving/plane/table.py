"""What is served now: loaded versions by deployment, swapped whole when the routes change.

A new version is opened and answers its deployment's example before the table is swapped; requests
under way keep the versions that they began with. What does not load is not served: the deployment
stays as it was, and a challenger that does not load leaves its keys to the champion.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import (
    NenrinError,
    NotFoundError,
    RemoteError,
    RequestError,
    StepError,
    UnavailableError,
)
from nenrin.core.instants import to_us
from nenrin.core.timer import Timer
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.batching import Question, Runtime
from nenrin.serving.plane.rows import Row, RowReader
from nenrin.serving.ports import LiveRoute, Loader, RouteReader
from nenrin.serving.router import Router, Variant

RETRY_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class Served:
    """A deployment that is ready to answer.

    Attributes:
        deployment: its state.
        reader: reads its requests.
        router: deals keys to variants.
        runtimes: one a variant of the route, in its order.
    """

    def __init__(
        self, live: LiveRoute, reader: RowReader, runtimes: Sequence[Runtime], calendar: Calendar
    ) -> None:
        self.deployment: Deployment = live.deployment
        self.reader = reader
        self.router = Router(live.deployment.route)
        self.runtimes = runtimes
        self._stands_at = live.stands_at
        self._calendar = calendar

    @property
    def now(self) -> int:
        """The calendar's instant: where it stands, or the machine's."""
        return self._calendar.now() if self._stands_at is None else self._stands_at

    def index(self, version: str) -> int:
        """The place of a version among the runtimes.

        Raises:
            NotFoundError: it is not one of those that are served.
        """
        versions = [runtime.version for runtime in self.runtimes]
        if version not in versions:
            raise NotFoundError(
                f"deployment {self.deployment.name!r} does not serve version {version!r}",
                hint=f"versions served: {', '.join(versions)}",
            )
        return versions.index(version)

    def questions(self, rows: Sequence[Row]) -> Question:
        """The rows, each with the instant it is asked at."""
        return Question(rows, asked_at(self.deployment, rows, self.now))


def asked_at(deployment: Deployment, rows: Sequence[Row], now: int) -> list[int]:
    """The instant (us) that each row is asked at: as its time column says, where that is sent.

    Nobody asks later than now: of a row that lies ahead, what is known now is what can be known.
    """
    time, shift = deployment.request.time, deployment.request.shift
    if time is None:
        return [now] * len(rows)
    return [
        now if (moment := row.get(time)) is None else min(to_us(moment) + shift, now)
        for row in rows
    ]


class RouteTable:
    """Follows the routes of one environment.

    ``refresh`` is called from a thread, by one caller at a time; all else reads one reference.
    """

    def __init__(
        self, routes: RouteReader, loader: Loader, calendar: Calendar, timer: Timer
    ) -> None:
        self._reader = routes
        self._loader = loader
        self._calendar = calendar
        self._timer = timer
        self._seen: Sequence[LiveRoute] | None = None
        self._retry_at = 0.0
        self.served: Mapping[str, Served] = MappingProxyType({})
        self.problems: Mapping[str, str] = MappingProxyType({"": "the routes are being read"})

    @property
    def ready(self) -> bool:
        """Every deployment has been loaded once; routes out of reach later are no matter."""
        return self._seen is not None and self.served.keys() >= {
            live.deployment.name for live in self._seen
        }

    def get(self, name: str) -> Served:
        """The deployment of that name.

        Raises:
            UnavailableError: it is there, but not loaded yet, or it does not load.
            NotFoundError: there is none; the hint names those that are.
        """
        served = self.served.get(name)
        if served is not None:
            return served
        if name in self.problems or self._seen is None:
            raise UnavailableError(
                f"deployment {name!r} is not ready: {self.problems.get(name) or 'it is loading'}",
                hint="try again in a second; `nenrin status` says what is wrong",
                where=name,
            )
        names = ", ".join(sorted(self.served))
        raise NotFoundError(
            f"there is no deployment {name!r}" if name else "nothing is deployed here yet",
            hint=f"deployments here: {names}" if names else "run `nenrin run` to make one",
            where=name,
        )

    def only(self, name: str | None = None) -> Served:
        """The deployment of that name, or the one that there is.

        Raises:
            RequestError: no name, and several deployments.
        """
        if name is None and len(self.served) == 1:
            return next(iter(self.served.values()))
        if name is None and self.served:
            raise RequestError(
                "there are several deployments here",
                hint=f"add ?deployment= and one of {', '.join(sorted(self.served))}",
            )
        return self.get(name or "")

    def refresh(self) -> None:
        """Read the routes; load what is new; swap the table if anything changed."""
        try:
            routes = list(self._reader.routes())
        except NenrinError as error:
            self.problems = MappingProxyType({**self.problems, "": error.message})
            return
        due = bool(self.problems) and self._timer.wall() >= self._retry_at
        if routes == self._seen and not due:
            return
        problems: dict[str, str] = {}
        served = {}
        for live in routes:
            name = live.deployment.name
            loaded = self._load(live, problems)
            if loaded is not None:
                served[name] = loaded
            elif name in self.served:
                served[name] = self.served[name]
        self._retry_at = self._timer.wall() + RETRY_SECONDS
        self.served = MappingProxyType(served)
        self.problems = MappingProxyType(problems)
        self._seen = routes

    def _load(self, live: LiveRoute, problems: dict[str, str]) -> Served | None:
        deployment = live.deployment
        before = self.served.get(deployment.name)
        reader = RowReader(deployment.request)
        opened: list[Runtime] = []
        for variant in deployment.route.variants:
            try:
                runtime = _loaded_before(before, variant) or self._open(live, reader, variant)
            except Exception as error:  # noqa: BLE001 - one that does not load stops no other
                problems[deployment.name] = f"version {variant.version}: {error}"
                _say(variant.version, error)
                if not opened:
                    return None
                runtime = opened[0]
            opened.append(runtime)
        return Served(live, reader, opened, self._calendar)

    def _open(self, live: LiveRoute, reader: RowReader, variant: Variant) -> Runtime:
        answerer = self._loader.open(variant)
        features = self._loader.features(variant.features) if variant.features else None
        runtime = Runtime(variant, answerer, features, self._timer)
        now = self._calendar.now() if live.stands_at is None else live.stands_at
        try:
            rows = reader.records([live.deployment.example])
            runtime.warm(Question(rows, asked_at(live.deployment, rows, now)))
        except RemoteError:
            return runtime  # that server may be there when somebody asks
        except RequestError:
            # of an older signature, or older than what an online store keeps: it says nothing
            return runtime
        except StepError:
            if not live.deployment.log.row:
                raise
            return runtime  # the example lacks what is personal, and a view may not bear that
        return runtime


def _say(version: str, error: Exception) -> None:
    """What can be explained needs no traceback."""
    if isinstance(error, NenrinError):
        _logger.warning("version %s does not load: %s; %s", version, error, error.hint)
    else:
        _logger.error("version %s does not load", version, exc_info=error)


def _loaded_before(before: Served | None, variant: Variant) -> Runtime | None:
    """The variant's runtime in the table that is served, if it answers in the same way."""
    for runtime in before.runtimes if before else ():
        if msgspec.structs.replace(runtime.variant, weight=variant.weight) == variant:
            return runtime
    return None
