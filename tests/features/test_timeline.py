from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.instants import NEVER
from nenrin.features.timeline import Timeline

EXTREMES = st.sampled_from([-(2**63), NEVER])
TIMES = st.integers(-5, 5) | EXTREMES


@given(
    st.lists(st.tuples(st.integers(0, 3), TIMES), max_size=20),
    st.lists(st.tuples(st.integers(0, 3), TIMES), max_size=20),
)
def test_upto_counts_the_times_of_a_group(rows: list[Any], asked: list[Any]) -> None:
    groups, times = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))
    timeline, order = Timeline.sort(groups, times, 4)
    assert timeline.times.tolist() == [rows[i][1] for i in order]
    compact, kept = timeline.without_ties()
    again = Timeline.of_frames("t", timeline.frames("t"))
    of, at = (np.array([row[i] for row in asked], dtype=np.int64) for i in (0, 1))
    for line in (timeline, again):
        found = line.upto(of, at) - line.starts[of]
        assert found.tolist() == [sum(g == of_ and t <= at_ for g, t in rows) for of_, at_ in asked]
    for line in (timeline, compact):
        assert line.upto(of, at).tolist() == [line.upto_one(*pair) for pair in asked]
    distinct = sorted(set(map(tuple, rows)))
    assert compact.times.tolist() == [time for _, time in distinct]
    last = {
        pair: i
        for i, pair in enumerate(zip(groups[order].tolist(), timeline.times.tolist(), strict=True))
    }
    assert kept.tolist() == [last[pair] for pair in distinct]
