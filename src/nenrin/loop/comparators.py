"""Dumb policies that the loop is measured against: never retraining, and retraining by the calendar.

They obey the look's hour, the time a refresh takes and the closing of labels as the loop does, through the
same row table and the same scorer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from nenrin.core.instants import NEVER, local_date, local_instant
from nenrin.loop.declare import Recipe, Refresh, history, trailing
from nenrin.loop.faults import Injection
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Fitted, Order, Trainer
from nenrin.loop.served import Answers, Counter
from nenrin.loop.state import Artefact, Segment


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy by the calendar: its name, what people call it, its recipe, and when it fits."""

    name: str
    title: str
    recipe: Recipe
    times: tuple[int, ...]


def policies(start: int, until: int, refresh: Refresh, zone: str) -> list[Policy]:
    """The comparators of a backtest whose first look is at ``start``."""
    months = (start, *_months(start, until, refresh, zone))
    weeks = (start, *_weeks(start, until, refresh, zone))
    return [
        Policy(name="never", title="never retraining", recipe=history(), times=(start,)),
        Policy(
            name="monthly_trailing",
            title="monthly, trailing 90 days",
            recipe=trailing("90d"),
            times=months,
        ),
        Policy(name="monthly_all", title="monthly, all history", recipe=history(), times=months),
        Policy(name="weekly_all", title="weekly, all history", recipe=history(), times=weeks),
    ]


class Comparator:
    """One policy, replayed."""

    def __init__(
        self,
        policy: Policy,
        *,
        ground: Ground,
        trainer: Trainer,
        counter: Counter,
        settle: int,
        takes: int,
        task: str,
        injections: Sequence[Injection] = (),
    ) -> None:
        self.policy = policy
        self.artefacts: dict[str, Artefact] = {}
        self.segments: list[Segment] = []
        self.fits = 0
        self._ground = ground
        self._trainer = trainer
        self._counter = counter
        self._settle = settle
        self._takes = takes
        self._task = task
        self._injections = list(injections)

    def due(self) -> int:
        """When it fits next; ``NEVER`` after the last time."""
        return self.policy.times[self.fits] if self.fits < len(self.policy.times) else NEVER

    def order(self, params: dict[str, object]) -> Order:
        """The fit that is due."""
        at = self.due()
        cutoff = self._ground.cut.cutoff(at, self._settle)
        return Order(recipe=self.policy.recipe, at=at, cutoff=cutoff, params=params)

    def fit(self, params: dict[str, object]) -> tuple[Artefact, Fitted]:
        """Fit what is due, and serve it when that is done."""
        order = self.order(params)
        fitted = self._trainer.fit([order])[0]
        struck = [i for i in self._injections if i.strikes(order.at, self._ground.zone)]
        self._injections = [i for i in self._injections if i not in struck]
        fault = struck[0].fault(self._task) if struck else ""
        artefact = msgspec.structs.replace(fitted.artefact(order), fault=fault)
        self.artefacts[artefact.version] = artefact
        self.segments.append(Segment(order.at + self._takes, ((artefact.version, 100),)))
        self.fits += 1
        return artefact, fitted

    def answer(self, lo: int, hi: int) -> Answers:
        """What it would have answered for the rows ``lo:hi``."""
        return self._counter.answer(self.segments, self.artefacts, lo, hi)


def _months(start: int, until: int, refresh: Refresh, zone: str) -> list[int]:
    """The first of every month after ``start``, at the look's hour."""
    first = local_date(start, zone)
    times: list[int] = []
    month = date(first.year, first.month, 1)
    while True:
        month = (month + timedelta(days=32)).replace(day=1)
        at = local_instant(month, refresh.clock, zone)
        if at > until:
            return times
        times.append(at)


def _weeks(start: int, until: int, refresh: Refresh, zone: str) -> list[int]:
    """Every seventh day after ``start``, at the look's hour."""
    times: list[int] = []
    day = local_date(start, zone)
    while True:
        day += timedelta(days=7)
        at = local_instant(day, refresh.clock, zone)
        if at > until:
            return times
        times.append(at)
