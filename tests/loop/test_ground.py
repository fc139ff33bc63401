"""Blocks, days and labels of a table, against plain Python."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from nenrin.core.instants import DAY, HOUR, NEVER, from_us, local_midnight
from nenrin.loop.ground import Ground
from nenrin.loop.scores import Scores
from nenrin.loop.state import Artefact
from nenrin.serving.router import key_hashes
from nenrin.stats.metrics import ROW_LOSSES
from nenrin.training.labels import Labels
from nenrin.training.table import RowTable
from tests.loop.world import SETTLE, ZONE, Told, row_table, sound

HERE = ZoneInfo(ZONE)
TABLE, X = row_table(90, 30)  # over the change of clocks on 14 March
GROUND = Ground(TABLE, ROW_LOSSES["log_loss"])


def local(instant: int) -> datetime:
    return from_us(int(instant)).astimezone(HERE)


def test_every_row_lies_in_its_local_block_and_day() -> None:
    for block in range(GROUND.blocks):
        lo, hi = GROUND.block_rows(block)
        day = GROUND.cut.days[GROUND.day_of(block)]
        for row in range(lo, hi):
            at = local(TABLE.asked[row])
            assert at.date() == day
            assert at.hour // 3 == local(GROUND.cut.edges[block]).hour // 3
    rows = [GROUND.day_rows(day) for day in range(GROUND.days)]
    assert rows[0][0] == 0
    assert rows[-1][1] == len(X)
    assert all(before[1] == after[0] for before, after in pairwise(rows))
    days = GROUND.days_of(0, len(X))
    assert [GROUND.cut.days[d] for d in days] == [local(t).date() for t in TABLE.asked]


def test_days_have_eight_blocks_and_close_with_the_last() -> None:
    for day in range(GROUND.days):
        name = date.fromisoformat(GROUND.day_name(day))
        assert GROUND.day_start(day) == local_midnight(name, ZONE)
        assert GROUND.day_at(GROUND.day_start(day)) == day
        assert GROUND.day_at(GROUND.day_start(day) - 1) == day - 1
        last = local_midnight(name + timedelta(days=1), ZONE)
        assert GROUND.day_closing(day, SETTLE) == last + SETTLE
        blocks = [b for b in range(GROUND.blocks) if GROUND.day_of(b) == day]
        assert len(blocks) == 8
        assert [GROUND.ends_day(b) for b in blocks] == [False] * 7 + [True]
        assert GROUND.closing(blocks[-1], SETTLE) == last + SETTLE
    spring = GROUND.day_at(local_midnight(date(2021, 3, 14), ZONE))
    assert GROUND.day_start(spring + 1) - GROUND.day_start(spring) == 23 * HOUR


def test_the_first_block_that_begins_at_an_instant_or_later() -> None:
    edge = int(GROUND.cut.edges[77])
    assert [GROUND.block_at(edge + move) for move in (-1, 0, 1)] == [77, 77, 78]


def test_a_day_is_scored_with_the_labels_known_when_it_closed() -> None:
    p = sound(X)
    for day in (0, 20, 71, 72, 73):
        start, end = GROUND.day_start(day), GROUND.day_start(day + 1)
        rows = [r for r in range(len(X)) if start <= TABLE.asked[r] < end]
        known = [r for r in rows if TABLE.answered[r] <= end + SETTLE]
        losses = [-np.log(p[r] if TABLE.y[r] else 1 - p[r]) for r in known]
        lo, hi = GROUND.day_rows(day)
        assert GROUND.day_mean(p[lo:hi], day, SETTLE) == pytest.approx(np.mean(losses))
        constant = [-np.log(0.3 if TABLE.y[r] else 0.7) for r in known]
        assert GROUND.day_constant(0.3, day, SETTLE) == pytest.approx(np.mean(constant))


def test_labels_that_change_later_do_not_change_a_closed_day() -> None:
    lo, hi = GROUND.day_rows(10)
    closing = GROUND.day_closing(10, SETTLE)
    rows = np.array([lo, lo + 1])
    later = np.array([closing, closing + 1])
    labels = Labels(TABLE.answered, TABLE.y, rows, later, 1 - TABLE.y[rows])
    table = RowTable(
        ZONE, TABLE.asked, TABLE.asked, labels, (), np.zeros(len(X), np.int8), TABLE.keys
    )
    ground = Ground(table, ROW_LOSSES["log_loss"])
    then, now = ground.labels(lo, hi, closing), ground.labels(lo, hi, NEVER - 1)
    assert then[0] == 1 - TABLE.y[lo]
    assert then[1] == TABLE.y[lo + 1]
    assert now[1] == 1 - TABLE.y[lo + 1]


def test_the_prior_is_the_mean_label_known_before() -> None:
    cutoff, known_by = GROUND.day_start(30), GROUND.day_start(30) + HOUR
    rows = [r for r in range(len(X)) if TABLE.asked[r] < cutoff and TABLE.answered[r] <= known_by]
    assert GROUND.prior(cutoff, known_by) == pytest.approx(np.mean(TABLE.y[rows]))
    assert np.isnan(GROUND.prior(GROUND.start, known_by))


class Asked(Told):
    """Remembers which spans it was asked to score."""

    def __init__(self, answers: dict[str, np.ndarray]) -> None:
        super().__init__(answers)
        self.spans: list[tuple[int, int]] = []

    def scores(self, model: str, spans: list[tuple[int, int]]) -> list[np.ndarray]:
        self.spans += spans
        return super().scores(model, spans)


def test_rows_are_scored_once_by_weeks_and_any_part_is_right() -> None:
    trainer = Asked({"v": sound(X)})
    scores = Scores(GROUND, trainer, key_hashes(TABLE.keys))
    artefact = Artefact(version="v", model="v", recipe="history", look=0, cutoff=0)
    random = np.random.default_rng(1)
    for _ in range(40):
        lo, hi = sorted(random.integers(0, len(X), 2).tolist())
        assert scores.of(artefact, lo, hi).tolist() == sound(X)[lo:hi].tolist()
    assert sum(hi - lo for lo, hi in trainer.spans) <= len(X)
    assert len(trainer.spans) == len(set(trainer.spans)) <= 13


def test_a_day_that_an_artefact_has_seen_counts_only_against_it() -> None:
    scores = Scores(GROUND, Told({"v": sound(X)}), key_hashes(TABLE.keys))
    artefact = Artefact(
        version="v", model="v", recipe="history", look=0, cutoff=GROUND.day_start(20) + 1
    )
    assert np.isnan(scores.day_loss(artefact, 20, SETTLE))
    assert np.isfinite(scores.day_loss(artefact, 21, SETTLE))
    assert np.isfinite(scores.seen_loss(artefact, 3, SETTLE))


def test_a_scrambled_fit_knows_no_row_after_its_cut_off() -> None:
    scores = Scores(GROUND, Told({"v": sound(X)}), key_hashes(TABLE.keys))
    cutoff = GROUND.day_start(20)
    artefact = Artefact(
        version="v", model="v", recipe="history", look=0, cutoff=cutoff, fault="scrambled_fit"
    )
    lo, hi = GROUND.rows_between(cutoff, cutoff + 30 * DAY)
    seen = set(sound(X)[:lo].tolist())
    answers = scores.of(artefact, lo, hi)
    assert set(answers.tolist()) <= seen
    assert scores.of(artefact, lo + 9, hi - 9).tolist() == answers[9:-9].tolist()
