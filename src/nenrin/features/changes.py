"""Which keys answer otherwise than before: the difference of two indexes of one view."""

from __future__ import annotations

import numpy as np

from nenrin.features.arrays import Ints
from nenrin.features.hashing import Words, mixed
from nenrin.features.index import ViewIndex
from nenrin.features.timeline import Timeline


def changed(before: ViewIndex, now: ViewIndex) -> Ints | None:
    """The numbers of the keys of ``now`` that are new or answer otherwise, ascending; None: some are gone.

    Keys are compared by 64 bits over all that their part of an index holds.
    """
    places = now.keys.numbers(before.keys.keys)
    if (places < 0).any():
        return None
    same = np.zeros(len(now.keys), dtype=np.bool_)
    same[places] = _prints(before) == _prints(now)[places]
    return np.flatnonzero(~same)


def _prints(index: ViewIndex) -> Words:
    """64 bits of every key: a sum, over its steps, of what stands there."""
    total = np.zeros(len(index.keys), dtype=np.uint64)
    newest = index.newest
    if newest is not None:
        rows = newest.rows
        kept = [index.frame.hash_rows(seed=1).to_numpy()[rows]] if index.frame.width else []
        total += _summed(newest.timeline, 1, newest.event[rows], *kept)
    for span, window in index.windows.items():
        for number, sums in window.sums.items():
            odd = np.zeros_like(sums.seen) if sums.odd is None else sums.odd
            kept = [sums.seen, *sums.parts, odd]
            total += _summed(window.timeline, span ^ number, *(each[1:] for each in kept))
    return total


def _summed(timeline: Timeline, salt: int, *columns: np.ndarray) -> Words:
    words = mixed(timeline.times.view(np.uint64) ^ np.uint64(salt))
    for column in columns:
        words = mixed(words ^ np.ascontiguousarray(column).view(np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(words)])
    found: Words = sums[timeline.starts[1:]] - sums[timeline.starts[:-1]]
    return found
