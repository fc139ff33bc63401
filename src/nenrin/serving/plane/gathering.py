"""Gathers what came in one turn of the event loop: requests that one version answers are asked as one.

What is done once for all of them is done once: the call of the model, the line of the log, the counters. Who
is alone waits for nobody: no timer fills a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from starlette.responses import Response

from nenrin.serving.plane.answering import Answers, Dealt
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.served import Served

Write = Callable[[Answers], bytes | Response]


class Gathered(NamedTuple):
    """A request that was read and dealt, whom its answer goes to, and what writes that."""

    exchange: Exchange
    dealt: Dealt
    write: Write


class _Key(NamedTuple):
    """What requests share that are asked as one."""

    served: Served
    place: int
    protocol: str


Ask = Callable[[Served, list[Gathered]], None]


class Gathering:
    """Used by one thread, the plane's event loop.

    Args:
        ask: asks a version for some requests; what goes wrong is its own matter.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._turn: dict[_Key, list[Gathered]] = {}

    def add(self, served: Served, asked: Gathered) -> None:
        """Have a request asked at the end of this turn of the loop, with those that join it."""
        index = asked.dealt.index
        if index is None:  # several versions have a part in it, or the client named one
            self._ask(served, [asked])
            return
        key = _Key(served, index, asked.exchange.target.protocol)
        if key in self._turn:
            self._turn[key].append(asked)
        else:
            self._plan(key, [asked])

    def _plan(self, key: _Key, turn: list[Gathered]) -> None:
        self._turn[key] = turn
        asyncio.get_running_loop().call_soon(self._take, key)

    def _take(self, key: _Key) -> None:
        """Ask what joins the first, up to a batch; the rest in the next turn. Alone where one is left out."""
        turn = self._turn.pop(key)
        if not key.served.asking.sound:
            for each in turn:
                self._ask(key.served, [each])
            return
        size = _joining(turn, key.served.runtimes[key.place].batch_rows)
        if size < len(turn):
            self._plan(key, turn[size:])
        self._ask(key.served, turn[:size])


def _joining(turn: list[Gathered], most: int) -> int:
    """How many requests from the first on are kept alike, and have at most so many rows together."""
    first, rows = turn[0].dealt.rows, 0
    for place, each in enumerate(turn):
        rows += len(each.dealt.rows)
        if place and (rows > most or not first.joins(each.dealt.rows)):
            return place
    return len(turn)
