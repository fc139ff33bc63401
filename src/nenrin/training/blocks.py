"""Blocks and days: asked time is cut into blocks of three hours, and labels close block by block.

Blocks begin at 00:00, 03:00 … local time of the rows' zone, so that a block never spans two days. At a
clock change a block is an hour shorter or longer. A block is *closed* when its end is older than the
settle age: the age by which nearly all labels have come. A day closes with its last block. Every number
that the loop acts on comes from closed blocks, for the labels of open ones are a biased sample.
"""

from __future__ import annotations

from datetime import date, time, timedelta

import numpy as np

from nenrin.core.instants import HOUR, local_date, local_instant

BLOCK = 3 * HOUR


class Blocks:
    """The blocks of the whole local days that hold the instants ``lo`` to ``hi``.

    Attributes:
        zone: IANA time zone of the rows.
        edges: int64 of shape (blocks + 1,): instants at which blocks begin, and the end of the last.
        days: the local dates, in order.
        day_of: int64 of shape (blocks,): position in ``days`` of each block.
        day_ends: int64 of shape (days,): the instant at which each day ends.
    """

    def __init__(self, zone: str | None, lo: int, hi: int) -> None:
        self.zone = zone or "UTC"
        first, last = local_date(lo, self.zone), local_date(hi, self.zone)
        # A missing hour moves an edge onto the next one; a date that a zone skipped has no block.
        wanted = [
            local_instant(first + timedelta(days=day), time(hour), self.zone)
            for day in range((last - first).days + 1)
            for hour in range(0, 24, 3)
        ]
        end = local_instant(last + timedelta(days=1), time(0), self.zone)
        self.edges = np.unique(np.array([*wanted, end], dtype=np.int64))
        of_block = [local_date(int(edge), self.zone) for edge in self.edges[:-1]]
        self.days: list[date] = sorted(set(of_block))
        position = {day: index for index, day in enumerate(self.days)}
        self.day_of = np.array([position[day] for day in of_block], dtype=np.int64)
        last_block = np.append(np.flatnonzero(np.diff(self.day_of)), len(self.day_of) - 1)
        self.day_ends = self.edges[last_block + 1]

    def of(self, asked: np.ndarray) -> np.ndarray:
        """The block of each instant, int64; -1 before the first block, ``len(day_of)`` after the last."""
        return np.asarray(np.searchsorted(self.edges, asked, side="right") - 1)

    def days_of(self, asked: np.ndarray) -> np.ndarray:
        """The day (a position in ``days``) of each instant, which must lie within the blocks."""
        return np.asarray(self.day_of[self.of(asked)])

    def closed_blocks(self, now: int, settle: int) -> int:
        """How many blocks, from the first on, are closed at ``now``: end + ``settle`` <= now."""
        return int(np.searchsorted(self.edges[1:], now - settle, side="right"))

    def closed_days(self, now: int, settle: int) -> int:
        """How many days, from the first on, are closed at ``now``."""
        return int(np.searchsorted(self.day_ends, now - settle, side="right"))

    def cutoff(self, now: int, settle: int) -> int:
        """The end of the last block closed at ``now``; the beginning of the first where none is."""
        return int(self.edges[self.closed_blocks(now, settle)])

    def closes_at(self, settle: int) -> np.ndarray:
        """The instant at which each block closes, int64 of shape (blocks,)."""
        return np.asarray(self.edges[1:] + settle)
