"""What was served: the answers that requests got, by the routes of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from nenrin.loop.ground import Ground
from nenrin.loop.scores import Scores
from nenrin.loop.state import Artefact, Blend, Segment
from nenrin.serving.router import Member

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
        *,
        raw: bool = False,
    ) -> Answers:
        """Answers for the rows ``lo:hi`` as ``segments`` routed them; ``raw``: before recalibration."""
        p = np.full(hi - lo, np.nan)
        version = np.full(hi - lo, -1, dtype=np.int32)
        versions: list[str] = []
        for segment, rows in self._stretches(segments, lo, hi):
            dealt = self._split(self.hashes[lo:hi][rows], segment.variants)
            for place, (name, _) in enumerate(segment.variants):
                mine = rows[dealt == place]
                if not len(mine):
                    continue
                if name not in versions:
                    versions.append(name)
                first, last = int(mine[0]), int(mine[-1]) + 1
                answers = self.blended(blend_in(segment, name), artefacts, lo + first, lo + last)
                p[mine] = answers[mine - first]
                version[mine] = versions.index(name)
            platt = segment.recalibration
            if platt is not None and not raw:
                p[rows] = platt.apply(p[rows])
        return Answers(p=p, version=version, versions=tuple(versions))

    def blended(
        self, blend: Blend, artefacts: Mapping[str, Artefact], lo: int, hi: int
    ) -> np.ndarray:
        """The members' answers for the rows ``lo:hi``, each times its share, float64 (hi - lo,)."""
        if len(blend) == 1:
            return self._scores.of(artefacts[blend[0].version], lo, hi)
        p = np.zeros(hi - lo)
        for member in blend:
            p += member.share * self._scores.of(artefacts[member.version], lo, hi)
        return p

    def slot(
        self,
        segments: Sequence[Segment],
        artefacts: Mapping[str, Artefact],
        slot: str,
        lo: int,
        hi: int,
    ) -> np.ndarray:
        """What one slot of the champion's mixture answered for the rows ``lo:hi``; NaN where it was empty."""
        p = np.full(hi - lo, np.nan)
        for segment, rows in self._stretches(segments, lo, hi):
            members = [m for m in blend_in(segment, segment.variants[0][0]) if m.slot == slot]
            if members:
                first, last = int(rows[0]), int(rows[-1]) + 1
                p[rows] = self._scores.of(artefacts[members[0].version], lo + first, lo + last)[
                    rows - first
                ]
        return p

    def _stretches(
        self, segments: Sequence[Segment], lo: int, hi: int
    ) -> Iterator[tuple[Segment, np.ndarray]]:
        """The segments that the rows ``lo:hi`` fall into, each with their places, in order."""
        starts = np.array([segment.start for segment in segments], dtype=np.int64)
        asked = self._ground.table.asked[lo:hi]
        index = np.searchsorted(starts, asked, side="right") - 1
        for number in np.unique(index[index >= 0]):
            yield segments[number], np.flatnonzero(index == number)


def blend_in(segment: Segment, version: str) -> Blend:
    """Who answered for a version of a segment."""
    return dict(segment.blends).get(version) or (Member("", version, 1.0),)
