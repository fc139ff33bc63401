"""Performance by day against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from nenrin.monitoring.performance import performance_by_day


def test_days_by_a_plain_loop():
    random = np.random.default_rng(0)
    days = random.choice([3, 4, 9], size=500)
    y = np.where(random.random(500) < 0.2, np.nan, (random.random(500) < 0.3).astype(float))
    p = random.random(500)
    found = performance_by_day(days, y, p, "squared")
    assert [day.day for day in found] == [3, 4, 9]
    for day in found:
        rows = [at for at in range(500) if days[at] == day.day]
        known = [at for at in rows if not np.isnan(y[at])]
        assert (day.rows, day.labelled) == (len(rows), len(known))
        assert day.loss == pytest.approx(np.mean([(y[at] - p[at]) ** 2 for at in known]))
        assert day.bias == pytest.approx(np.mean([y[at] - p[at] for at in known]))


def test_a_day_without_labels_has_no_loss():
    (day,) = performance_by_day(np.array([1, 1]), np.full(2, np.nan), np.full(2, 0.5), "log_loss")
    assert (day.rows, day.labelled, day.loss, day.bias) == (2, 0, None, None)
    assert performance_by_day(np.empty(0, dtype=int), np.empty(0), np.empty(0), "log_loss") == []
