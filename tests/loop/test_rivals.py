"""Another deployment beside the loop: it decides as it would alone, and the loop as if it were not there."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from nenrin.core.instants import local_midnight
from nenrin.loop.backtest import Backtest, Played
from nenrin.loop.comparators import comparators
from nenrin.loop.deployed import Deployed
from nenrin.loop.matrix import matrix
from nenrin.loop.report import Scored
from nenrin.loop.rivals import Rival
from nenrin.stats.metrics import row_log_loss
from tests.loop.world import BEGIN, ZONE, FakeTrainer, ListJournal, deployed, row_table

DAYS, A_DAY = 110, 60
LOOK = BEGIN + timedelta(days=50)
UNTIL = local_midnight(BEGIN + timedelta(days=DAYS), ZONE)
TABLE, X = row_table(DAYS, A_DAY, 0.02)


def opened(serve: str) -> Deployed:
    return deployed(TABLE, FakeTrainer(TABLE, X), look=LOOK, serve=serve)


def play(serve: str, rival: str = "") -> tuple[Deployed, ListJournal, Played]:
    made, journal = opened(serve), ListJournal()
    others = [*comparators(made, UNTIL, ["frozen"])]
    if rival:
        others.append(Rival("rival", "a rival", opened(rival), UNTIL))  # type: ignore[arg-type]
    return made, journal, Backtest(made, journal, UNTIL, others).play(lambda at: None)


def test_each_answers_as_if_it_were_alone() -> None:
    _, _, mixed = play("mixture")
    _, _, single = play("champion")
    _, _, both = play("mixture", rival="champion")
    mine, frozen, rival = both.answers
    np.testing.assert_array_equal(mine.p, mixed.answers[0].p)
    np.testing.assert_array_equal(rival.p, single.answers[0].p)
    assert rival.fits == single.answers[0].fits > 0
    assert frozen.fits == 1


def test_a_rivals_versions_are_registered_and_its_decisions_are_no_events() -> None:
    _, alone, _ = play("mixture")
    _, beside, _ = play("mixture", rival="champion")
    of_the_loop = ("look.taken", "watch.opened", "watch.closed", "day.closed")
    for kind in of_the_loop:
        assert beside.kinds().count(kind) == alone.kinds().count(kind)
    answered = [
        line.body for s in beside.steps for line in s.lines if line.kind == "policies.answered"
    ]
    assert all(set(body) == {"never", "rival"} for body in answered[1:])


def test_the_matrix_has_every_fits_loss_in_every_week_that_it_has_not_seen() -> None:
    made, _, played = play("mixture")
    scored = Scored(made.ground, played, "log_loss")
    found = matrix(made, scored)
    weeks = len(found["weeks"])
    assert weeks == -(-len(scored.days) // 7)
    served = np.array([fit["served"] for fit in found["fits"]])
    assert np.allclose(served.sum(axis=0), 1.0, atol=0.02)  # of each week everything was answered
    fits = {fit["version"]: fit for fit in found["fits"]}
    assert {a.version for a in made.state.artefacts.values() if not a.members} == set(fits)
    artefact = made.artefact(made.state.fits["history"][1])
    fit, first = fits[artefact.version], int(scored.days[0])
    for number in range(weeks):
        lo, hi = made.ground.day_rows(first + 7 * number, first + 7 * number + 7)
        lo, hi = max(lo, scored.lo), min(hi, scored.hi)
        if made.ground.table.asked[lo] < artefact.cutoff:
            assert fit["losses"][number] is None
            continue
        y = TABLE.y[lo:hi]
        p = made.scores.of(artefact, lo, hi)
        known = np.isfinite(y)
        assert np.isclose(fit["losses"][number], np.mean(row_log_loss(y[known], p[known])))
