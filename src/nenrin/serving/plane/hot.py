"""Answers hot requests: predictions, asked in the plain way, without passing through the app."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import compile_path

from nenrin.core.errors import NenrinError
from nenrin.core.timer import Timer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane import errors, invocations, numeric, openinference
from nenrin.serving.plane.answering import Answers, ask
from nenrin.serving.plane.deadlines import TIMEOUT, seconds_of
from nenrin.serving.plane.drain import Drain
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.guard import Guard
from nenrin.serving.plane.metrics import PlaneMetrics
from nenrin.serving.plane.table import RouteTable, Served
from nenrin.training.records import Records

BODY_BYTES = 64 * 2**20
MODEL = "/v2/models/{name}"
PINNED = MODEL + "/versions/{version}"
INFER = (f"{MODEL}/infer", f"{PINNED}/infer")
INVOCATIONS = "/invocations"

_ODD = frozenset(b"%#")
_PATHS = [compile_path(path)[0] for path in INFER]
_encode = msgspec.json.Encoder().encode

Write = Callable[[Answers], bytes]


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
    ) -> None:
        self._table = table
        self._log = log
        self._metrics = metrics
        self._guard = guard
        self._drain = drain
        self._timer = timer
        self._within = within

    @property
    def ending(self) -> bool:
        """Whether the process ends."""
        return self._drain.begun

    def takes(self, url: bytes, headers: dict[bytes, bytes]) -> Target | None:
        """The target of a request that can be answered at once; who may not ask, hears so from the app."""
        target = target_of(url)
        if target is None or not self._table.looked or not self._guard.allows(headers):
            return None
        length = headers[b"content-length"]
        return target if length.isdigit() and int(length) <= BODY_BYTES else None

    def answer(self, exchange: Exchange) -> None:
        """Answer one whole request, in a later turn of the loop."""
        target: Target = exchange.target
        started = self._timer.wall()
        known = ""

        def done(found: Answers | NenrinError) -> None:
            try:
                if isinstance(found, NenrinError):
                    self._fail(exchange, known, found)
                    return
                body = write(found)
            except Exception as error:  # noqa: BLE001 - answered and logged
                self._fail(exchange, known, error)
                return
            self._metrics.answered(known, target.protocol, self._timer.wall() - started, found)
            exchange.respond(body)

        try:
            served = self._table.only(target.name)
            known = served.deployment.name
            rows, write = _read(exchange.body, served, target.protocol)
            within = self._within
            if TIMEOUT in exchange.headers:
                within = seconds_of(exchange.headers[TIMEOUT])
            ask(served, rows, self._log, done, version=target.version, within=within)
        except Exception as error:  # noqa: BLE001 - answered and logged
            self._fail(exchange, known, error)

    def _fail(self, exchange: Exchange, known: str, error: Exception) -> None:
        target: Target = exchange.target
        if isinstance(error, NenrinError):
            self._metrics.failed(known, target.protocol, error.status)
        response = errors.answer(error, "POST", target.path)
        headers = b"".join(
            b"%b: %b\r\n" % header
            for header in response.raw_headers
            if header[0] not in (b"content-length", b"content-type")
        )
        exchange.respond(bytes(response.body), response.status_code, headers)


@lru_cache(1024)
def target_of(url: bytes) -> Target | None:
    """What a plainly written URL of a prediction asks for; None: it is none, or the app reads it better."""
    if not _ODD.isdisjoint(url) or not url.isascii():
        return None
    path, _, query = url.decode().partition("?")
    if path == INVOCATIONS:
        return Target(path, "invocations", QueryParams(query).get("deployment"))
    for pattern in _PATHS:
        found = pattern.match(path)
        if found is not None:
            return Target(path, "v2", **found.groupdict())
    return None


def _read(body: bytes, served: Served, protocol: str) -> tuple[Records, Write]:
    """The rows of a request, and what writes their answers."""
    if protocol == "v2":
        plain = numeric.read(body, served)
        if plain is not None:
            return plain[0], partial(numeric.written, served, given=plain[1])
    read = openinference.read if protocol == "v2" else invocations.read
    asked = read(body, served)
    return asked.rows, lambda answers: _encode(asked.write(answers))
