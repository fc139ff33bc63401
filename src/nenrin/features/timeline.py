"""Sorted times in groups: how many of a group's times are not later than T?"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import polars as pl

from nenrin.features.arrays import Ints


class Timeline:
    """Times sorted within groups, which follow one another.

    Args:
        starts: int64[groups + 1], where each group begins.
        times: int64[n], microseconds, ascending within each group.
    """

    def __init__(self, starts: Ints, times: Ints) -> None:
        self.starts = starts
        self.times = times

    @classmethod
    def sort(cls, groups: Ints, times: Ints, count: int) -> tuple[Timeline, Ints]:
        """The timeline of ``times`` in ``count`` groups, and the stable order that sorts them, int64[n]."""
        order = np.lexsort((times, groups))
        starts = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(groups, minlength=count), out=starts[1:])
        return cls(starts, times[order]), order

    def without_ties(self) -> tuple[Timeline, Ints]:
        """The timeline with each time of a group once, and the position of the last of each, int64."""
        last = np.ones(self.times.size, dtype=np.bool_)
        last[:-1] = self.times[1:] != self.times[:-1]
        last[self.starts[1:][self.starts[1:] > 0] - 1] = True
        kept = np.flatnonzero(last)
        return Timeline(np.searchsorted(kept, self.starts), self.times[kept]), kept

    def upto(self, groups: Ints, at: Ints) -> Ints:
        """For each pair, the position behind the group's last time that is not later than ``at``.

        ``groups`` must lie in [0, count). All pairs are halved side by side, each within its group: that
        reads a few times a pair, and nothing of the others.
        """
        low, high = self.starts[groups], self.starts[groups + 1]
        last = self.times.size - 1
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            is_open = low < high
            passed = is_open & (self.times[np.minimum(middle, last)] <= at)
            low = np.where(passed, middle + 1, low)
            high = np.where(is_open & ~passed, middle, high)
        return low

    def upto_one(self, group: int, at: int) -> int:
        """:meth:`upto` for one pair, in about 2 us."""
        low, high = int(self.starts[group]), int(self.starts[group + 1])
        return bisect_right(self._view, at, low, high)

    def frames(self, name: str) -> dict[str, pl.DataFrame]:
        """The timeline as two frames, for the archive."""
        starts, times = pl.DataFrame({"start": self.starts}), pl.DataFrame({"time": self.times})
        return {f"{name} starts": starts, f"{name} times": times}

    @classmethod
    def of_frames(cls, name: str, frames: Mapping[str, pl.DataFrame]) -> Timeline:
        """What :meth:`frames` gave."""
        starts, times = frames[f"{name} starts"]["start"], frames[f"{name} times"]["time"]
        return cls(starts.to_numpy(), times.to_numpy())

    @cached_property
    def _view(self) -> memoryview:
        return np.ascontiguousarray(self.times).data
