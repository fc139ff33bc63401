"""What an injected fault cost, beside the same fits without it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from nenrin.core.instants import HOUR, iso, local_midnight
from nenrin.loop.backtest import Backtest, Played
from nenrin.loop.comparators import comparators
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection
from nenrin.loop.harm import bad_week
from nenrin.loop.report import Scored
from tests.loop.world import BEGIN, ZONE, FakeTrainer, ListJournal, deployed, row_table

DAYS = 110
TABLE, X = row_table(DAYS, 100)
LOOK = date(2021, 3, 1)


def play(*faults: str, watching: bool = True) -> tuple[Deployed, Played, Scored]:
    options = Options(injections=tuple(map(Injection.parse, faults)), watching=watching)
    made = deployed(TABLE, FakeTrainer(TABLE, X), look=LOOK, options=options)
    until = local_midnight(BEGIN + timedelta(days=DAYS), ZONE)
    played = Backtest(made, ListJournal(), until, comparators(made, until, None)).play(
        lambda at: None
    )
    return made, played, Scored(made.ground, played, "log_loss")


def test_without_a_fault_there_is_nothing_to_tell() -> None:
    assert bad_week(*play()) is None


def test_the_cost_is_that_of_the_faults_answers_alone() -> None:
    made, played, scored = play("shifted_fit:2021-03-20")
    found = bad_week(made, played, scored)
    first = next(s for s in made.state.segments if s.variants[-1][0] in faulty(made))
    back = made.state.segments[made.state.segments.index(first) + 1]
    assert found["first_served"] == iso(first.start)
    assert found["rolled_back"] == iso(back.start)
    assert found["served_hours"] == (back.start - first.start) / HOUR
    for answers in played.answers:
        told = found["policies"][answers.name]
        hit, cost = [], 0.0
        for row in range(played.lo, played.hi):
            version, _ = answers.versions[answers.version[row - played.lo]]
            if not played.artefacts[answers.name][version].fault:
                continue
            p = answers.p[row - played.lo]
            sound = 1 / (1 + np.exp(-(np.log(p / (1 - p)) - 1)))
            y = TABLE.y[row]
            bad, good = (-np.log(q if y else 1 - q) for q in (p, sound))
            hit.append((bad, good))
            cost += bad - good
        assert told["rows"] == len(hit)
        assert told["cost"] == pytest.approx(cost / (played.hi - played.lo))
        if hit:
            assert told["loss"] == pytest.approx(np.mean([bad for bad, _ in hit]))
            assert told["undisturbed"] == pytest.approx(np.mean([good for _, good in hit]))
    assert found["policies"]["never"]["rows"] == 0
    assert found["policies"]["loop"]["rows"] < found["policies"]["weekly_all"]["rows"]
    assert found["policies"]["weekly_all"]["hours"] < 7 * 24
    assert found["sentences"][0].startswith("The loop rolled the faulty fit back")


def test_unwatched_it_is_told_that_nothing_came_back() -> None:
    found = bad_week(*play("scrambled_fit:2021-03-20", watching=False))
    assert found["rolled_back"] is None
    assert found["served_hours"] is None
    assert found["sentences"][0] == "The loop never rolled the faulty fit back."


def test_a_fault_after_the_last_look_is_never_served() -> None:
    found = bad_week(*play("scrambled_fit:2021-04-30"))
    assert found["first_served"] is None
    assert found["sentences"] == [
        "scrambled_fit:2021-04-30 struck no fit of the loop: none was made on that day or later.",
        "No faulty fit was ever served by the loop.",
    ]


def faulty(made: Deployed) -> set[str]:
    return {a.version for a in made.state.artefacts.values() if a.fault}
