"""Answers hot requests: predictions, asked in the plain way, without passing through the app."""

from __future__ import annotations

from functools import lru_cache, partial

from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane import errors
from nenrin.serving.plane.answering import Answers, ask
from nenrin.serving.plane.bodies import BODY_BYTES
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.drain import Drain
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.gathering import Gathered, Gathering
from nenrin.serving.plane.guard import Guard
from nenrin.serving.plane.metrics import PlaneMetrics
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.statistics import count_answered, count_failed
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.plane.targets import Target, target_of

LONGEST_URL = 512


class HotRequests:
    """Implements :class:`nenrin.serving.plane.front.Hot`.

    Args:
        table: what is served.
        log: where predictions are kept.
        metrics: counts.
        guard: says who may ask.
        drain: says when connections end.
        timer: measures latency.
        within: seconds that a request may take, unless it says itself.
        doors: the paths of MLflow's protocol.
    """

    def __init__(
        self,
        table: RouteTable,
        log: LiveLog,
        metrics: PlaneMetrics,
        guard: Guard,
        drain: Drain,
        timer: Timer,
        within: float,
        doors: Doors = DOORS,
    ) -> None:
        self._table = table
        self._log = log
        self._metrics = metrics
        self._guard = guard
        self._drain = drain
        self._timer = timer
        self._within = within
        self._gathering = Gathering(self._ask, self._fail)
        self._target = lru_cache(1024)(partial(target_of, doors.predict))

    @property
    def ending(self) -> bool:
        """Whether the process ends."""
        return self._drain.begun

    def takes(self, url: bytes, headers: dict[bytes, bytes]) -> Target | None:
        """The target of a request that can be answered at once; who may not ask, hears so from the app."""
        target = self._target(url) if len(url) <= LONGEST_URL else None  # it is remembered
        if target is None or not self._table.looked or not self._guard.allows(target.path, headers):
            return None
        if not self.ready(target):
            return None
        length = headers[b"content-length"]
        return target.of(headers) if length.isdigit() and int(length) <= BODY_BYTES else None

    def ready(self, target: Target) -> bool:
        """Whether what a target asks for is open; where it is not, the app waits until it is."""
        resting = self._table.resting
        return not resting or not (target.name is None or target.name in resting)

    def answer(self, exchange: Exchange) -> None:
        """Have one whole request answered, at the end of this turn of the loop, with what else came."""
        target: Target = exchange.target
        exchange.started = self._timer.wall()
        try:
            served = self._table.only(target.name)
        except NenrinError as error:
            self._fail(None, exchange, error)
        else:
            self._gathering.add(served, exchange)

    def _ask(self, asked: Gathered) -> None:
        """Ask for some requests as one."""
        seconds = self._within if asked.within is None else asked.within
        try:
            tell = partial(self._tell, asked)
            gathered = not asked.exchanges[0].target.is_own
            ask(asked.served, asked.dealt, self._log, tell, seconds, gathered=gathered)
        except NenrinError as error:
            self._tell(asked, error)
        except Exception as error:  # noqa: BLE001 - answered and logged
            self._refuse(asked, error)

    def _tell(self, asked: Gathered, found: Answers | NenrinError) -> None:
        served, dealt = asked.served, asked.dealt
        if isinstance(found, NenrinError):
            self._refuse(asked, found)
            return
        ended = self._timer.wall()
        seconds = [ended - started for started in dealt.started]
        protocol = asked.exchanges[0].target.protocol
        self._metrics.answered(served.deployment.name, protocol, seconds, found.versions)
        count_answered(served, found.versions, dealt.sizes, seconds)
        for exchange, response in zip(asked.exchanges, asked.written(found), strict=True):
            if isinstance(response, bytes):
                exchange.respond(response)
            else:
                exchange.send(response)

    def _refuse(self, asked: Gathered, error: Exception) -> None:
        """Tell why; of several one may be at fault, or others may answer: then each is asked alone."""
        away = isinstance(error, UnavailableError) and asked.served.asking.only
        if len(asked.exchanges) == 1 or away:
            for each in asked.exchanges:
                self._fail(asked.served, each, error)
            return
        now = self._timer.wall()
        for place, each in enumerate(asked.exchanges):
            within = max(self._within - (now - each.started), 0.0)
            self._ask(asked.part([place])._replace(within=within))

    def _fail(self, served: Served | None, exchange: Exchange, error: Exception) -> None:
        target: Target = exchange.target
        name = served.deployment.name if served else ""
        self._metrics.failed(name, target.protocol, errors.status_of(error))
        if served is not None:
            count_failed(served, target.version, self._timer.wall() - exchange.started)
        exchange.send(errors.answer(error, "POST", target.path))
