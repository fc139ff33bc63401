"""What was served: every row by the route of its time, sticky by key."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from nenrin.core.instants import HOUR
from nenrin.loop.state import Artefact, Segment
from nenrin.serving.router import Route, Router, Variant
from tests.loop.world import BEGIN, Told, deployed, noon, row_table, sound

TABLE, X = row_table(30, 100)
NAMES = ("old", "new", "newer")
ANSWERS = {name: sound(X, shift) for name, shift in zip(NAMES, (0.0, 0.5, 1.0), strict=True)}
MADE = deployed(TABLE, Told(ANSWERS), look=BEGIN + timedelta(days=10))
ARTEFACTS = {
    name: Artefact(version=name, model=name, recipe="history", look=0, cutoff=0) for name in NAMES
}


def at(day: int) -> int:
    return noon(BEGIN + timedelta(days=day))


SEGMENTS = [
    Segment(at(5), (("old", 100),)),
    Segment(at(8), (("old", 80), ("new", 20))),
    Segment(at(12), (("new", 100),)),
    Segment(at(20), (("new", 50), ("newer", 50))),
]


def test_every_row_is_answered_by_the_route_of_its_time() -> None:
    found = MADE.counter.answer(SEGMENTS, ARTEFACTS, 0, len(X))
    for row in range(len(X)):
        now = [segment for segment in SEGMENTS if segment.start <= TABLE.asked[row]]
        if not now:
            assert np.isnan(found.p[row])
            assert found.version[row] == -1
            continue
        route = Route(
            deployment="demo",
            variants=tuple(Variant(version=v, weight=w) for v, w in now[-1].variants),
        )
        name = route.variants[Router(route).pick(TABLE.keys[row])].version
        assert found.versions[found.version[row]] == name
        assert found.p[row] == ANSWERS[name][row]


def test_any_part_is_answered_as_in_the_whole() -> None:
    whole = MADE.counter.answer(SEGMENTS, ARTEFACTS, 0, len(X))
    names = np.array([*whole.versions, ""])
    for lo, hi in ((0, 10), (700, 1301), (1999, 2000), (5, 5)):
        part = MADE.counter.answer(SEGMENTS, ARTEFACTS, lo, hi)
        np.testing.assert_array_equal(part.p, whole.p[lo:hi])
        theirs = np.array([*part.versions, ""])
        assert theirs[part.version].tolist() == names[whole.version[lo:hi]].tolist()


def test_a_raised_weight_only_moves_keys_to_the_new_version() -> None:
    hashes = MADE.counter.hashes
    before = np.zeros(len(hashes), dtype=bool)
    for weight in (1, 20, 50, 99, 100):
        variants = [("old", 100 - weight), ("new", weight)] if weight < 100 else [("new", 100)]
        segments = [Segment(0, tuple(variants))]
        found = MADE.counter.answer(segments, ARTEFACTS, 0, len(X))
        mine = np.array([v == "new" for v in found.versions])[found.version]
        assert not (before & ~mine).any()
        assert abs(mine.mean() - weight / 100) < 0.03
        before = mine


def test_nothing_is_answered_before_the_first_route() -> None:
    found = MADE.counter.answer([], ARTEFACTS, 0, 50)
    assert np.isnan(found.p).all()
    assert found.versions == ()
    late = [Segment(at(29) + 48 * HOUR, (("old", 100),))]
    assert np.isnan(MADE.counter.answer(late, ARTEFACTS, 0, len(X)).p).all()
