"""Dumb policies that the loop is measured against: never retraining, and retraining by the calendar.

They obey the look's hour, the time a refresh takes and the closing of labels as the loop does, through the
same row table and the same scorer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from nenrin.core.instants import NEVER
from nenrin.loop.deployed import Deployed
from nenrin.loop.faults import Injection
from nenrin.loop.ground import Ground
from nenrin.loop.policies import Calendar, Policy, by_calendar, usual
from nenrin.loop.ports import Fitted, Order, Step, Trainer
from nenrin.loop.served import Answers, Counter
from nenrin.loop.state import Artefact, Segment


class Other(Protocol):
    """A policy that is replayed beside the loop.

    Attributes:
        name, title: how it is called.
        fits: how many models it has fitted.
        cpu: CPU seconds of these fits, each as it was when it was made.
    """

    name: str
    title: str
    fits: int
    cpu: float

    @property
    def artefacts(self) -> dict[str, Artefact]:
        """Its fits and mixtures, by version."""
        ...

    @property
    def segments(self) -> list[Segment]:
        """What its answers came from."""
        ...

    def due(self) -> int:
        """When it does something next; ``NEVER`` after the last time."""
        ...

    def advance(self, params: dict[str, Any], step: Step) -> None:
        """Do what is due, and give the versions that it made to the step."""
        ...

    def answer(self, lo: int, hi: int) -> Answers:
        """What it would have answered for the rows ``lo:hi``."""
        ...


def comparators(deployed: Deployed, until: int, texts: Sequence[str] | None) -> list[Comparator]:
    """The policies by the calendar: those that were asked for, the usual ones where nobody did."""
    state, ground = deployed.state, deployed.ground
    calendar = Calendar(state.next_look, until, deployed.declared.refresh, ground.zone)
    return [
        Comparator(
            policy,
            ground=ground,
            trainer=deployed.trainer,
            counter=deployed.counter,
            settle=state.settle,
            takes=deployed.options.takes,
            task=deployed.task,
            injections=deployed.options.injections,
        )
        for policy in (by_calendar(texts, calendar) if texts else usual(calendar))
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
        self.name = policy.name
        self.title = policy.title
        self.cpu = 0.0
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
        self._injections = [i for i in self._injections if i.stays or i not in struck]
        fault = struck[0].fault(self._task) if struck else ""
        artefact = msgspec.structs.replace(fitted.artefact(order), fault=fault)
        self.artefacts[artefact.version] = artefact
        self.segments.append(Segment(order.at + self._takes, ((artefact.version, 100),)))
        self.fits += 1
        self.cpu += fitted.cpu
        return artefact, fitted

    def advance(self, params: dict[str, Any], step: Step) -> None:
        """Fit all that is due."""
        while self.due() <= step.at:
            step.fits.append(self.fit(params))

    def answer(self, lo: int, hi: int) -> Answers:
        """What it would have answered for the rows ``lo:hi``."""
        return self._counter.answer(self.segments, self.artefacts, lo, hi)
