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

    def written(self, answers: Answers) -> Sequence[bytes | Response]:
        """The response of each, or its body; of one that cannot be written, why."""
        sizes = self.dealt.sizes
        try:
            return self.writing.written(answers, sizes)
        except Exception as error:  # noqa: BLE001 - answered and logged
            if len(sizes) == 1:
                return [errors.answer(error, "POST", self.exchanges[0].target.path)]
        ends = accumulate(sizes)
        return [
            self.part([place]).written(answers.part(end - size, end))[0]
            for place, (size, end) in enumerate(zip(sizes, ends, strict=True))
        ]

    def cut(self, place: int) -> tuple[Gathered, Gathered]:
        """Those before that place, and those from it on."""
        before, behind = self.dealt.cut(place)
        places = range(len(self.exchanges))
        one, other = self.writing.part(places[:place]), self.writing.part(places[place:])
        return (
            Gathered(self.served, self.exchanges[:place], before, one, self.within),
            Gathered(self.served, self.exchanges[place:], behind, other, self.within),
        )


_Key = tuple[Served, Target]
"""What requests share that are read together."""


class Gathering:
    """Used by one thread, the plane's event loop.

    Args:
        ask: asks for some requests as one; what goes wrong is its own matter.
        refuse: tells a request that cannot be read why.
    """

    def __init__(
        self,
        ask: Callable[[Gathered], None],
        refuse: Callable[[Served, Exchange, Exception], None],
    ) -> None:
        self._ask = ask
        self._refuse = refuse
        self._turn: dict[_Key, list[Exchange]] = {}

    def add(self, served: Served, exchange: Exchange) -> None:
        """Have a request asked at the end of this turn of the loop, with those that join it."""
        key = (served, exchange.target)
        turn = self._turn.get(key)
        if turn is None:
            self._turn[key] = [exchange]
            asyncio.get_running_loop().call_soon(self._take, key)
        else:
            turn.append(exchange)

    def _take(self, key: _Key) -> None:
        turn = self._turn.pop(key)
        for part in [[each] for each in turn] if key[1].is_own else [turn]:
            self._hand_on(key, part)

    def _hand_on(self, key: _Key, turn: Sequence[Exchange]) -> None:
        """Read requests, and have them asked; where that fails for all of them, one by one."""
        try:
            found = [*self._read(key, turn)]
        except Exception as error:  # noqa: BLE001 - answered and logged
            if len(turn) == 1:
                self._refuse(key[0], turn[0], error)
                return
            loop = asyncio.get_running_loop()
            for each in turn:
                if not each.response_complete:
                    loop.call_soon(self._hand_on, key, [each])
            return
        if not key[1].is_own:
            self._deal_each(found)
            return
        for gathered in found:
            self._ask(gathered)

    def _read(self, key: _Key, turn: Sequence[Exchange]) -> Iterator[Gathered]:
        """The requests: plain ones together, others that are kept alike, these up to a batch."""
        served, target = key
        if target.protocol == "v2" and not target.in_two_parts:
            plain = numeric.read([each.body for each in turn], served)
            if plain is not None:
                mine = [turn[place] for place in plain.places]
                writing = numeric.Writing(served, plain.given)
                yield _dealt(key, mine, plain.rows, plain.sizes, writing)
                if len(mine) == len(turn):
                    return
                others = {*range(len(turn))}.difference(plain.places)
                turn = [turn[place] for place in sorted(others)]
        read = openinference.read if target.protocol == "v2" else invocations.read
        most, rows = served.runtimes[0].batch_rows, 0
        alike: list[tuple[Exchange, Asked]] = []
        for each in turn:
            try:
                asked = read(each.body, served, _texts(each.headers))
            except Exception as error:  # noqa: BLE001 - answered and logged
                self._refuse(served, each, error)
                continue
            rows += len(asked.rows)
            if alike and (rows > most or not alike[0][1].rows.joins(asked.rows)):
                yield _joined(key, alike)
                alike, rows = [], len(asked.rows)
            alike.append((each, asked))
        if alike:
            yield _joined(key, alike)

    def _deal_each(self, found: Sequence[Gathered]) -> None:
        """One in each turn of the loop: together they may take long."""
        if len(found) > 1:
            asyncio.get_running_loop().call_soon(self._deal_each, found[1:])
        for gathered in found[:1]:
            try:
                self._deal(gathered)
            except Exception as error:  # noqa: BLE001 - answered and logged
                for each in gathered.exchanges:
                    if not each.response_complete:
                        self._refuse(gathered.served, each, error)

    def _deal(self, gathered: Gathered) -> None:
        """Have each version asked for what was dealt to it."""
        if gathered.dealt.index is not None:
            self._go(gathered)
            return
        apart: dict[int | None, list[int]] = {}
        for place, index in enumerate(gathered.dealt.each):
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
            gathered, rest = gathered.cut(first)
            asyncio.get_running_loop().call_soon(self._deal_each, [rest])
        self._ask(gathered)


def _joined(key: _Key, alike: Sequence[tuple[Exchange, Asked]]) -> Gathered:
    rows = [asked.rows for _, asked in alike]
    writing = _OneByOne([asked.write for _, asked in alike])
    mine = [each for each, _ in alike]
    return _dealt(key, mine, Records.joined(rows), [*map(len, rows)], writing)


def _dealt(
    key: _Key, turn: Sequence[Exchange], rows: Records, sizes: list[int], writing: Writing
) -> Gathered:
    served, target = key
    started = [each.started for each in turn]
    sticky: Sequence[str | None] = ()
    if header := served.deployment.request.sticky_header:
        sticky = [_said(each.headers, header) for each in turn]
    dealt = deal(served, rows, sizes, started, version=target.version, sticky=sticky)
    within = None if target.timeout is None else seconds_of(target.timeout)
    return Gathered(served, turn, dealt, writing, within)


class _OneByOne(NamedTuple):
    """Writes each answer by its request's own protocol."""

    writes: Sequence[Callable[[Answers], object]]

    def part(self, places: Sequence[int]) -> _OneByOne:
        """What writes those at ``places``."""
        return _OneByOne([self.writes[place] for place in places])

    def written(self, answers: Answers, sizes: Sequence[int]) -> list[bytes | Response]:
        """The response of each, or its body."""
        found: list[bytes | Response] = []
        for write, size, end in zip(self.writes, sizes, accumulate(sizes), strict=True):
            mine = answers if size == len(answers.ids) else answers.part(end - size, end)
            written = write(mine)
            found.append(written if isinstance(written, Response) else _encode(written))
        return found


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
