"""Answers hot requests: predictions, asked in the plain way, without passing through the app."""

from __future__ import annotations

from functools import lru_cache, partial

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import compile_path

from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane import errors, invocations, numeric, openinference
from nenrin.serving.plane.answering import VERSION, Answers, ask, deal
from nenrin.serving.plane.bodies import BODY_BYTES, HEAD_LENGTH
from nenrin.serving.plane.deadlines import TIMEOUT, seconds_of
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.drain import Drain
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.gathering import Gathered, Gathering, Write
from nenrin.serving.plane.guard import Guard
from nenrin.serving.plane.metrics import PlaneMetrics
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.statistics import count_answered, count_failed
from nenrin.serving.plane.table import RouteTable
from nenrin.training.records import Records

LONGEST_URL = 512
MODEL = "/v2/models/{name}"
PINNED = MODEL + "/versions/{version}"
INFER = (f"{MODEL}/infer", f"{PINNED}/infer")

_ODD = frozenset(b"%#")
_HEAD_LENGTH = HEAD_LENGTH.encode()
_PATHS = [compile_path(path)[0] for path in INFER]
_encode = msgspec.json.Encoder().encode


class Target(msgspec.Struct, frozen=True):
    """What a URL asks for. Attributes: ``protocol``, and the deployment's name and version, if said."""

    path: str
    protocol: str
    name: str | None
    version: str | None = None


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
        self._gathering = Gathering(self._ask)
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
        return target if length.isdigit() and int(length) <= BODY_BYTES else None

    def ready(self, target: Target) -> bool:
        """Whether what a target asks for is open; where it is not, the app waits until it is."""
        resting = self._table.resting
        return not resting or not (target.name is None or target.name in resting)

    def answer(self, exchange: Exchange) -> None:
        """Answer one whole request, in a later turn of the loop."""
        target: Target = exchange.target
        started = self._timer.wall()
        served: Served | None = None
        try:
            served = self._table.only(target.name)
            rows, write = _read(exchange, served, target.protocol)
            headers = exchange.headers
            version, sticky = _named(exchange), None
            if header := served.deployment.request.sticky_header:
                told = headers.get(header.lower().encode())
                sticky = None if told is None else told.decode("latin-1")
            dealt = deal(served, rows, started, version=version, sticky=sticky)
            asked = Gathered(exchange, dealt, write)
            if TIMEOUT in headers:
                self._ask(served, [asked], seconds_of(headers[TIMEOUT]))
            else:
                self._gathering.add(served, asked)
        except Exception as error:  # noqa: BLE001 - answered and logged
            self._fail(exchange, served, error, started)

    def _ask(self, served: Served, asked: list[Gathered], within: float | None = None) -> None:
        """Ask for some requests as one."""
        requests = [each.dealt for each in asked]
        seconds = self._within if within is None else within
        try:
            ask(served, requests, self._log, partial(self._tell, served, asked), seconds)
        except NenrinError as error:
            self._tell(served, asked, error)
        except Exception as error:  # noqa: BLE001 - answered and logged
            if len(asked) == 1:
                self._refuse(served, asked, error)
            else:
                self._ask_each(served, asked)

    def _tell(self, served: Served, asked: list[Gathered], found: Answers | NenrinError) -> None:
        if isinstance(found, NenrinError):
            away = isinstance(found, UnavailableError) and served.asking.only
            if len(asked) == 1 or away:
                self._refuse(served, asked, found)
            else:  # one of them is at fault, or others may answer instead
                self._ask_each(served, asked)
            return
        ended = self._timer.wall()
        seconds = [ended - each.dealt.started for each in asked]
        sizes = [len(each.dealt.picked) for each in asked]
        name, protocol = served.deployment.name, asked[0].exchange.target.protocol
        self._metrics.answered(name, protocol, seconds, found.versions)
        count_answered(served, found.versions, sizes, seconds)
        start = 0
        for each, size in zip(asked, sizes, strict=True):
            _write(each, found if len(asked) == 1 else found.part(start, start + size))
            start += size

    def _ask_each(self, served: Served, asked: list[Gathered]) -> None:
        """Ask for each request alone, in what is left of its time."""
        now = self._timer.wall()
        for each in asked:
            self._ask(served, [each], max(self._within - (now - each.dealt.started), 0.0))

    def _refuse(self, served: Served, asked: list[Gathered], error: Exception) -> None:
        for each in asked:
            self._fail(each.exchange, served, error, each.dealt.started)

    def _fail(
        self, exchange: Exchange, served: Served | None, error: Exception, started: float
    ) -> None:
        target: Target = exchange.target
        name = served.deployment.name if served else ""
        self._metrics.failed(name, target.protocol, errors.status_of(error))
        if served is not None:
            count_failed(served, _named(exchange), self._timer.wall() - started)
        exchange.send(errors.answer(error, "POST", target.path))


def _named(exchange: Exchange) -> str | None:
    """The version that a client names, by the path or else by the header."""
    target: Target = exchange.target
    if target.version is None and VERSION in exchange.headers:
        return exchange.headers[VERSION].decode("latin-1")
    return target.version


def _write(asked: Gathered, found: Answers) -> None:
    """Write the answers of one request."""
    try:
        written = asked.write(found)
    except Exception as error:  # noqa: BLE001 - answered and logged
        asked.exchange.send(errors.answer(error, "POST", asked.exchange.target.path))
        return
    if isinstance(written, Response):
        asked.exchange.send(written)
    else:
        asked.exchange.respond(written)


def target_of(doors: frozenset[str], url: bytes) -> Target | None:
    """What a plainly written URL of a prediction asks for; None: it is none, or the app reads it better.

    Args:
        doors: the paths of MLflow's protocol.
        url: as it stands in the request's first line.
    """
    if not _ODD.isdisjoint(url) or not url.isascii():
        return None
    path, _, query = url.decode().partition("?")
    if path in doors:
        return Target(path, "invocations", QueryParams(query).get("deployment"))
    for pattern in _PATHS:
        found = pattern.match(path)
        if found is not None:
            return Target(path, "v2", **found.groupdict())
    return None


def _read(exchange: Exchange, served: Served, protocol: str) -> tuple[Records, Write]:
    """The rows of a request, and what writes their answers."""
    if protocol == "v2" and _HEAD_LENGTH not in exchange.headers:
        plain = numeric.read(exchange.body, served)
        if plain is not None:
            return plain[0], partial(numeric.written, served, given=plain[1])
    read = openinference.read if protocol == "v2" else invocations.read
    headers = {
        name.decode("latin-1"): told.decode("latin-1") for name, told in exchange.headers.items()
    }
    asked = read(exchange.body, served, headers)

    def write(answers: Answers) -> bytes | Response:
        written = asked.write(answers)
        return written if isinstance(written, Response) else _encode(written)

    return asked.rows, write
