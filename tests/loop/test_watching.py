"""The watch: what it tolerates, what it compares with, which blocks it reads, when it alarms."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from nenrin.core.instants import DAY, HOUR, local_midnight
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Watch
from nenrin.loop.watching import LEAST_LABELS, close_watch, open_watch, read_block
from nenrin.stats.betting import Wealth
from tests.loop.world import (
    BEGIN,
    SETTLE,
    ZONE,
    Told,
    day_mean,
    lines,
    row_table,
    sound,
    stand,
    table_of,
)

DAYS = 80
TABLE, X = row_table(DAYS, 200)
WEEKS = [BEGIN + timedelta(days=30 + 7 * week) for week in range(6)]
NOISE = np.random.default_rng(5)
ANSWERS = {
    f"{recipe}-{week}": sound(X, shift=float(NOISE.normal(0, 0.1)))
    for recipe in ("h", "t")
    for week in range(6)
}
RECIPE = {"h": "history", "t": "trailing 30d"}
FITTED = [(name, RECIPE[name[0]], WEEKS[int(name[2:])]) for name in ANSWERS]
LOOK = WEEKS[-1] + timedelta(days=7)


def made(look: date = LOOK, **more: object) -> Deployed:
    weeks = [fit for fit in sorted(FITTED, key=lambda fit: fit[2]) if fit[2] < look]
    champion = max((fit for fit in weeks if fit[0][0] == "h"), key=lambda fit: fit[2])[0]
    return stand(TABLE, Told(ANSWERS), weeks, look=look, champion=champion, **more)


def fitted_at(deployed: Deployed, name: str) -> tuple[int, int]:
    artefact = deployed.state.artefacts[name]
    return artefact.look, artefact.cutoff


def usual_gap(deployed: Deployed, mine: str, theirs: str) -> list[float]:
    """Day by day the newest fit of one recipe against the one before it of another, in plain Python."""
    gaps = []
    for day in range(deployed.state.next_day - 28, deployed.state.next_day):
        begins = local_midnight(deployed.ground.cut.days[day], ZONE)

        def newest(prefix: str, before: float, begins: int = begins) -> str | None:
            names = [n for n in deployed.state.artefacts if n[0] == prefix]
            old = [
                n
                for n in names
                if fitted_at(deployed, n)[1] <= begins and fitted_at(deployed, n)[0] < before
            ]
            return max(old, key=lambda n: fitted_at(deployed, n)[0], default=None)

        now = newest(mine, float("inf"))
        then = newest(theirs, fitted_at(deployed, now)[0]) if now else None
        if now and then:
            gaps.append(
                day_mean(deployed, ANSWERS[now], day) - day_mean(deployed, ANSWERS[then], day)
            )
    return gaps


@pytest.mark.parametrize(("mine", "theirs"), [("h", "h"), ("t", "h")])
def test_it_tolerates_what_successive_fits_usually_differ_by(mine: str, theirs: str) -> None:
    deployed = made()
    step = Step(at=LOOK_AT)
    open_watch(deployed, f"{mine}-5", f"{theirs}-4", LOOK_AT, step)
    gaps = usual_gap(deployed, mine, theirs)
    assert len(gaps) >= 14
    sd = float(np.std(gaps, ddof=1))
    assert deployed.state.watch.margin == pytest.approx(min(0.05, max(0.005, sd)))
    assert lines(step, "watch.opened") == [
        {"ref": f"{theirs}-4", "margin": deployed.state.watch.margin, "cap": 0.1, "ring": 0}
    ]


LOOK_AT = made().state.next_look + HOUR


def test_before_there_are_fourteen_such_days_it_tolerates_a_fifth_of_the_clip() -> None:
    deployed = made(WEEKS[2])
    open_watch(deployed, "h-1", "h-0", LOOK_AT, Step(at=LOOK_AT))
    assert deployed.state.watch.margin == pytest.approx(0.02)


def test_against_the_anchor_it_tolerates_what_the_recipe_differs_from_the_anchor_by() -> None:
    deployed = made()
    assert deployed.state.anchor == "h-0"
    open_watch(deployed, "h-5", "h-0", LOOK_AT, Step(at=LOOK_AT))
    gaps = [
        day_mean(deployed, ANSWERS[now], day) - day_mean(deployed, ANSWERS["h-0"], day)
        for day in range(deployed.state.next_day - 28, deployed.state.next_day)
        if (now := deployed.state.in_place("history", deployed.ground.day_start(day)).version)
        != "h-0"
    ]
    sd = float(np.std(gaps, ddof=1))
    assert deployed.state.watch.margin == pytest.approx(min(0.05, max(0.005, sd)))
    assert ANCHOR not in deployed.state.fits


@pytest.mark.parametrize(
    ("wealth", "age", "ref"),
    [
        (1.5, 7, "h-3"),  # a refresh does not clear suspicion
        (1.5, 14, "h-4"),  # nor does suspicion last for ever
        (1.0, 7, "h-4"),
        (0.5, 7, "h-4"),
    ],
)
def test_a_suspicion_is_inherited_by_the_next_watch(wealth: float, age: int, ref: str) -> None:
    deployed = made()
    since = LOOK_AT - age * DAY
    deployed.state.watch = Watch(
        subject="h-4",
        ref="h-3",
        ref_since=since,
        opened=since,
        margin=0.01,
        cap=0.1,
        wealth=Wealth(wealth, wealth),
        block=0,
        blocks=40,
    )
    step = Step(at=LOOK_AT)
    open_watch(deployed, "h-5", "h-4", LOOK_AT, step)
    found = deployed.state.watch
    assert (found.subject, found.ref) == ("h-5", ref)
    assert found.ref_since == (since if ref == "h-3" else LOOK_AT)
    assert found.wealth == Wealth(1.0, 1.0)
    closed = lines(step, "watch.closed")
    assert [(body["outcome"], body["ref"], body["blocks"]) for body in closed] == [
        ("replaced", "h-3", 40)
    ]


def test_there_is_none_where_it_was_left_out_or_nothing_is_replaced() -> None:
    deployed = made(options=Options(watching=False))
    step = Step(at=LOOK_AT)
    open_watch(deployed, "h-5", "h-4", LOOK_AT, step)
    assert deployed.state.watch is None
    assert not step.lines
    deployed = made()
    open_watch(deployed, "h-5", "h-5", LOOK_AT, step)
    assert deployed.state.watch is None
    close_watch(deployed.state, "over", step)
    assert not step.lines


def watched(deployed: Deployed, opened: int, *, margin: float = 0.02) -> None:
    deployed.state.watch = Watch(
        subject="h-5",
        ref="h-4",
        ref_since=opened,
        opened=opened,
        margin=margin,
        cap=0.1,
        block=deployed.ground.block_at(opened),
    )


def test_it_bets_on_clipped_means_of_blocks_asked_wholly_after_the_opening() -> None:
    deployed = made()
    ground = deployed.ground
    opened = LOOK_AT + HOUR // 2
    watched(deployed, opened)
    wealth = {0.3: 1.0, 0.9: 1.0}
    for block in range(ground.block_at(LOOK_AT) - 1, ground.block_at(LOOK_AT) + 30):
        alarmed = read_block(deployed, block)
        begins, ends = int(ground.cut.edges[block]), int(ground.cut.edges[block + 1])
        if begins < opened:
            assert deployed.state.watch.wealth == Wealth(1.0, 1.0)
            continue
        rows = [
            row
            for row in range(len(TABLE.asked))
            if begins <= TABLE.asked[row] < ends and TABLE.answered[row] <= ends + SETTLE
        ]
        assert len(rows) >= LEAST_LABELS
        y = TABLE.y[rows]
        mine, theirs = (ANSWERS[name][rows] for name in ("h-5", "h-4"))
        losses = [-np.log(np.where(y == 1, p, 1 - p)) for p in (mine, theirs)]
        x = float(np.clip(np.mean(losses[0] - losses[1]), -0.1, 0.1))
        wealth = {bet: w * (1 + bet * (x - 0.02) / 0.12) for bet, w in wealth.items()}
        found = deployed.state.watch.wealth
        assert (found.low, found.high) == pytest.approx((wealth[0.3], wealth[0.9]))
        assert alarmed == (sum(wealth.values()) / 2 >= 20)


def sparse(per_block: list[int]) -> Deployed:
    """A table with so many labelled rows in each three hours of some days, and rows that never answer."""
    begin = local_midnight(BEGIN, ZONE)
    asked, answered, n = [], [], 0
    for block in range(8 * 60):
        labels = per_block[block % len(per_block)] if block >= 8 * 50 else 1
        for row in range(labels + 2):
            asked.append(begin + 3 * HOUR * block + row)
            answered.append(asked[-1] + (HOUR if row < labels else 40 * HOUR))
            n += 1
    y = (np.arange(n) % 2).astype(float)
    table = table_of(np.array(asked), np.array(answered), y)
    good, bad = np.where(y == 1, 0.8, 0.2), np.where(y == 1, 0.2, 0.8)
    fitted = [("h-4", "history", WEEKS[0]), ("h-5", "history", WEEKS[1])]
    trainer = Told({"h-4": good, "h-5": bad})
    return stand(table, trainer, fitted, look=BEGIN + timedelta(days=50), champion="h-5")


@pytest.mark.parametrize(
    ("per_block", "read"),
    [
        ([10], 8),
        ([9], 4),  # two are read together
        ([4], 2),  # three
        ([0, 0, 0, 20], 2),
        ([0], 0),
    ],
)
def test_blocks_with_few_labels_are_read_together(per_block: list[int], read: int) -> None:
    deployed = sparse(per_block)
    opened = deployed.ground.day_start(50)
    watched(deployed, opened)
    first = deployed.ground.block_at(opened)
    for block in range(first, first + 8):
        read_block(deployed, block)
    assert deployed.state.watch.blocks == read


def test_late_labels_do_not_count() -> None:
    deployed = sparse([9])  # and two a block that come after both have closed
    opened = deployed.ground.day_start(50)
    watched(deployed, opened)
    first = deployed.ground.block_at(opened)
    assert not read_block(deployed, first)
    assert deployed.state.watch.held == first
    assert not read_block(deployed, first + 1)
    assert (deployed.state.watch.held, deployed.state.watch.blocks) == (-1, 1)


def test_gross_harm_alarms_at_the_sixth_block() -> None:
    deployed = sparse([12])
    watched(deployed, deployed.ground.day_start(50))
    first = deployed.state.watch.block
    alarms = [read_block(deployed, block) for block in range(first, first + 8)]
    evidence, needed = Wealth(), 0
    while not evidence.alarms:
        evidence, needed = evidence.bet(5.0, 0.02, 0.1), needed + 1
    assert alarms.index(True) == needed - 1
    assert needed in (6, 7, 8)
