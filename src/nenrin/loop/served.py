"""What was served: the answers that requests got, by the routes of the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from nenrin.loop.ground import Ground
from nenrin.loop.scores import Scores
from nenrin.loop.state import Artefact, Segment

Split = Callable[[np.ndarray, Sequence[tuple[str, int]]], np.ndarray]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Answers for some rows of the table.

    Attributes:
        p: predictions, float64 (rows,); NaN where nothing was served yet.
        version: index into ``versions`` of the version that answered, int32 (rows,); -1 for none.
        versions: the versions.
    """

    p: np.ndarray
    version: np.ndarray
    versions: tuple[str, ...]


class Counter:
    """Answers rows by the routes of their time, sticky by key.

    Args:
        ground: the row table.
        scores: the one scorer.
        hashes: hash of each row's key, uint64 (rows,).
        split: variant index of each key hash, for a list of (version, weight).
    """

    def __init__(self, ground: Ground, scores: Scores, hashes: np.ndarray, split: Split) -> None:
        self.hashes = hashes
        self._ground = ground
        self._scores = scores
        self._split = split

    def answer(
        self,
        segments: Sequence[Segment],
        artefacts: Mapping[str, Artefact],
        lo: int,
        hi: int,
    ) -> Answers:
        """Answers for the rows ``lo:hi`` as ``segments`` routed them."""
        starts = np.array([segment.start for segment in segments], dtype=np.int64)
        asked = self._ground.table.asked[lo:hi]
        index = np.searchsorted(starts, asked, side="right") - 1
        p = np.full(hi - lo, np.nan)
        version = np.full(hi - lo, -1, dtype=np.int32)
        versions: list[str] = []
        for number in np.unique(index[index >= 0]):
            rows = np.flatnonzero(index == number)
            variants = segments[number].variants
            dealt = self._split(self.hashes[lo:hi][rows], variants)
            for place, (name, _) in enumerate(variants):
                mine = rows[dealt == place]
                if not len(mine):
                    continue
                if name not in versions:
                    versions.append(name)
                first, last = int(mine[0]), int(mine[-1]) + 1
                scores = self._scores.of(artefacts[name], lo + first, lo + last)
                p[mine] = scores[mine - first]
                version[mine] = versions.index(name)
        return Answers(p=p, version=version, versions=tuple(versions))
