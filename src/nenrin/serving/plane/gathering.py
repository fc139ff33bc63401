"""Gathers what came in one turn of the event loop: requests that one version answers are asked as one.

What is done once for all of them is done once: dealing, the call of the model, the line of the log, the
counters; reading and writing, too, where requests are plain. Who is alone waits for nobody: no timer fills
a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

import msgspec
from starlette.responses import Response

from nenrin.serving.plane import errors, invocations, numeric, openinference
from nenrin.serving.plane.answering import Answers, Asked, Dealt, deal
from nenrin.serving.plane.deadlines import seconds_of
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.targets import Target
from nenrin.training.records import Records

_encode = msgspec.json.Encoder().encode


class Arrived(NamedTuple):
    """A whole request, and when it was there, by the log's timer."""

    exchange: Exchange
    started: float


class Writing(Protocol):
    """Writes the answers to some requests."""

    def written(self, answers: Answers, sizes: Sequence[int]) -> Sequence[bytes | Response]:
        """The response of each, or its body; ``sizes`` are the numbers of their rows."""
        ...

    def part(self, places: Sequence[int]) -> Writing:
        """What writes the answers to those at ``places``."""
        ...


class Gathered(NamedTuple):
    """Requests that were read alike and dealt.

    Attributes:
        served: who is asked.
        exchanges: whom the answers go to.
        dealt: their rows.
        writing: writes the answers.
        within: seconds that they may take; None: as long as any.
    """

    served: Served
    exchanges: Sequence[Exchange]
    dealt: Dealt
    writing: Writing
    within: float | None = None

    def part(self, places: Sequence[int]) -> Gathered:
        """Some of them."""
        return Gathered(
            self.served,
            [self.exchanges[place] for place in places],
            self.dealt.part(places),
            self.writing.part(places),
            self.within,
        )


class _Key(NamedTuple):
    """What requests share that are read together."""

    served: Served
    target: Target


class Gathering:
    """Used by one thread, the plane's event loop.

    Args:
        ask: asks for some requests as one; what goes wrong is its own matter.
        refuse: tells a request that cannot be read why.
    """

    def __init__(
        self,
        ask: Callable[[Gathered], None],
        refuse: Callable[[Served, Arrived, Exception], None],
    ) -> None:
        self._ask = ask
        self._refuse = refuse
        self._turn: dict[_Key, list[Arrived]] = {}

    def add(self, served: Served, arrived: Arrived) -> None:
        """Have a request asked at the end of this turn of the loop, with those that join it."""
        key = _Key(served, arrived.exchange.target)
        turn = self._turn.get(key)
        if turn is None:
            self._turn[key] = [arrived]
            asyncio.get_running_loop().call_soon(self._take, key)
        else:
            turn.append(arrived)

    def _take(self, key: _Key) -> None:
        turn = self._turn.pop(key)
        if not key.target.is_own:
            for gathered in self._read(key, turn):
                self._deal(gathered)
            return
        for each in turn:
            for gathered in self._read(key, [each]):
                self._ask(gathered)

    def _read(self, key: _Key, turn: Sequence[Arrived]) -> Iterator[Gathered]:
        """The requests, those together that are kept alike."""
        served, target = key
        if target.protocol == "v2" and not target.in_two_parts:
            plain = numeric.read([each.exchange.body for each in turn], served)
            if plain is not None:
                mine = [turn[place] for place in plain.places]
                writing = numeric.Writing(served, plain.given)
                yield from self._dealt(key, mine, plain.rows, plain.sizes, writing)
                if len(mine) == len(turn):
                    return
                others = {*range(len(turn))}.difference(plain.places)
                turn = [turn[place] for place in sorted(others)]
        read = openinference.read if target.protocol == "v2" else invocations.read
        alike: list[tuple[Arrived, Asked]] = []
        for each in turn:
            try:
                asked = read(each.exchange.body, served, _texts(each.exchange.headers))
            except Exception as error:  # noqa: BLE001 - answered and logged
                self._refuse(served, each, error)
                continue
            if alike and not alike[0][1].rows.joins(asked.rows):
                yield from self._joined(key, alike)
                alike = []
            alike.append((each, asked))
        if alike:
            yield from self._joined(key, alike)

    def _joined(self, key: _Key, alike: Sequence[tuple[Arrived, Asked]]) -> Iterator[Gathered]:
        rows = [asked.rows for _, asked in alike]
        writing = _OneByOne([asked.write for _, asked in alike], key.target.path)
        mine = [each for each, _ in alike]
        yield from self._dealt(key, mine, Records.joined(rows), [*map(len, rows)], writing)

    def _dealt(
        self,
        key: _Key,
        turn: Sequence[Arrived],
        rows: Records,
        sizes: list[int],
        writing: Writing,
    ) -> Iterator[Gathered]:
        served, target = key
        started = [each.started for each in turn]
        try:
            within = None if target.timeout is None else seconds_of(target.timeout)
            sticky: Sequence[str | None] = ()
            if header := served.deployment.request.sticky_header:
                sticky = [_said(each.exchange.headers, header) for each in turn]
            dealt = deal(served, rows, sizes, started, version=target.version, sticky=sticky)
        except Exception as error:  # noqa: BLE001 - answered and logged
            for each in turn:
                self._refuse(served, each, error)
            return
        yield Gathered(served, [each.exchange for each in turn], dealt, writing, within)

    def _deal(self, gathered: Gathered) -> None:
        """Have each version asked for what was dealt to it."""
        if gathered.dealt.index is not None:
            self._go(gathered)
            return
        apart: dict[int | None, list[int]] = {}
        starts = [*accumulate(gathered.dealt.sizes, initial=0)]
        for place, size in enumerate(gathered.dealt.sizes):
            picked = gathered.dealt.picked[starts[place] : starts[place + 1]]
            index = picked[0] if picked.count(picked[0]) == size else None
            apart.setdefault(index, []).append(place)
        for index, places in apart.items():
            if index is not None:
                self._go(gathered.part(places))
                continue
            for place in places:  # several versions have a part in it
                self._ask(gathered.part([place]))

    def _go(self, gathered: Gathered) -> None:
        """Ask one version, up to a batch; the rest in the next turn. Alone where one is left out."""
        index, sizes = gathered.dealt.picked[0], gathered.dealt.sizes
        size = len(sizes)
        if size > 1 and not gathered.served.asking.sound:
            for place in range(size):
                self._ask(gathered.part([place]))
            return
        first = _fitting(sizes, gathered.served.runtimes[index].batch_rows)
        if first < size:
            rest = gathered.part(range(first, size))
            asyncio.get_running_loop().call_soon(self._go, rest)
            gathered = gathered.part(range(first))
        self._ask(gathered)


class _OneByOne(NamedTuple):
    """Writes each answer by its request's own protocol."""

    writes: Sequence[Callable[[Answers], object]]
    path: str

    def part(self, places: Sequence[int]) -> _OneByOne:
        """What writes those at ``places``."""
        return _OneByOne([self.writes[place] for place in places], self.path)

    def written(self, answers: Answers, sizes: Sequence[int]) -> list[bytes | Response]:
        """The response of each, or its body."""
        ends = accumulate(sizes)
        return [
            self._one(write, answers if size == len(answers.ids) else answers.part(end - size, end))
            for write, size, end in zip(self.writes, sizes, ends, strict=True)
        ]

    def _one(self, write: Callable[[Answers], object], answers: Answers) -> bytes | Response:
        try:
            written = write(answers)
            return written if isinstance(written, Response) else _encode(written)
        except Exception as error:  # noqa: BLE001 - answered and logged
            return errors.answer(error, "POST", self.path)


def _fitting(sizes: Sequence[int], most: int) -> int:
    """How many requests from the first on have at most so many rows together; at least one."""
    if sum(sizes) <= most:
        return len(sizes)
    return max(1, sum(end <= most for end in accumulate(sizes)))


def _said(headers: dict[bytes, bytes], header: str) -> str | None:
    told = headers.get(header.lower().encode())
    return None if told is None else told.decode("latin-1")


def _texts(headers: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): told.decode("latin-1") for name, told in headers.items()}
