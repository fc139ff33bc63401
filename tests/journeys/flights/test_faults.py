"""Faults played into history: the watch rolls a bad fit back, and without it nothing does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.journeys.flights.conftest import FROM, UNTIL, Replayed


@pytest.mark.parametrize("fault", ["scrambled_fit:2013-05-06", "shifted_fit:2013-05-13"])
def test_a_bad_fit_is_rolled_back_in_days(replayed: Replayed, fault: str) -> None:
    report = replayed.platform.loop.backtest(from_=FROM, until=UNTIL, inject=[fault])
    bad = report["bad_week"]
    served, back = (datetime.fromisoformat(bad[n]) for n in ("first_served", "rolled_back"))
    assert timedelta(0) < back - served <= timedelta(days=4)
    assert report["counts"]["rollbacks"] == 1
    hit = bad["policies"]["loop"]
    assert hit["loss"] > hit["undisturbed"]
    assert bad["policies"]["never"]["rows"] == 0
    assert bad["policies"]["weekly_all"]["rows"] > hit["rows"]


def test_without_the_watch_it_serves_on(replayed: Replayed) -> None:
    report = replayed.platform.loop.backtest(
        from_=FROM, until=UNTIL, inject=["scrambled_fit:2013-04-15"], without=["watch"]
    )
    assert report["bad_week"]["rolled_back"] is None
    assert report["counts"]["rollbacks"] == 0


def test_undisturbed_nothing_is_rolled_back(replayed: Replayed) -> None:
    assert replayed.report["counts"]["rollbacks"] == 0
    assert replayed.report["bad_week"] is None
