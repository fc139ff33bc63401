"""One deployment in one environment: what was declared, the ground under it, and its state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from nenrin.core.errors import IntegrityError, NotFoundError, UnavailableError
from nenrin.core.instants import DAY, HOUR, NEVER
from nenrin.gates.policy import Policy
from nenrin.loop.declare import DeploymentSpec, Recipe
from nenrin.loop.evaluation import Judged
from nenrin.loop.faults import Injection
from nenrin.loop.ground import Ground
from nenrin.loop.mixture import blend_of
from nenrin.loop.ports import Trainer
from nenrin.loop.race import ANCHOR
from nenrin.loop.scores import Scores
from nenrin.loop.served import Answers, Counter
from nenrin.loop.state import Artefact, Blend, State
from nenrin.monitoring.alarms import Finding
from nenrin.serving.router import Member
from nenrin.stats.betting import clip_of
from nenrin.stats.shift import day_points

Checks = Callable[[int, int], list[Finding]]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a loop is run, beside what was declared.

    Attributes:
        takes: business time from a look to the first request that its result answers, microseconds.
        watching: whether promotions are watched.
        recalibrating: whether answers may go through a recalibration.
        injections: faults to play in.
        cooldown: least time between a look and one that an alarm pulls forward.
        max_age: age of a served artefact at which a ticket is opened.
        watch_for: longest time a watch stays open.
        frozen: since when no change is made by itself; None: changes are made.
        paused: whether a rollout stays at its weight.
        thawed: instant of the newest thaw: what was held until then happens then, never earlier.
    """

    takes: int = HOUR
    watching: bool = True
    recalibrating: bool = True
    injections: tuple[Injection, ...] = ()
    cooldown: int = 3 * DAY
    max_age: int = 28 * DAY
    watch_for: int = 14 * DAY
    frozen: int | None = None
    paused: bool = False
    thawed: int = 0


class Deployed:
    """What every step of the loop works on.

    Args:
        declared: the deployment as declared.
        task: ``binary`` or ``regression``.
        row_loss: name of the loss that the loop acts on.
        ground: the row table in blocks and days.
        scores: the one scorer.
        trainer: fits models.
        counter: answers rows by the routes of their time.
        metrics: what the gate is told of beside the loss.
        policy: the gate's rules.
        checks: what the data tests find in what became known between two instants.
        options: how the loop is run.
        state: what it remembers; changed by the steps.
        trains: whether a fit learns from the rows.
    """

    def __init__(
        self,
        *,
        declared: DeploymentSpec,
        task: str,
        row_loss: str,
        ground: Ground,
        scores: Scores,
        trainer: Trainer,
        counter: Counter,
        metrics: tuple[str, ...],
        policy: Policy,
        checks: Checks,
        options: Options,
        state: State,
        trains: bool = True,
    ) -> None:
        self.declared = declared
        self.task = task
        self.row_loss = row_loss
        self.ground = ground
        self.scores = scores
        self.trainer = trainer
        self.counter = counter
        self.metrics = metrics
        self.policy = policy
        self.checks = checks
        self.options = options
        self.state = state
        self.trains = trains
        self._points: dict[int, np.ndarray] = {}
        self.judged: Judged | None = None  # the rows that a look held out, for people
        self.column_aucs: dict[
            str, float
        ] = {}  # what each feature reaches alone, at a look at new code

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.declared.name

    def recipe(self, name: str) -> Recipe:
        """The declared recipe of that name."""
        return next(recipe for recipe in self.declared.recipes if recipe.name == name)

    def artefact(self, version: str) -> Artefact:
        """A fit by its version."""
        return self.state.artefacts[version]

    @property
    def mixes(self) -> bool:
        """Whether the recipes' fits answer together; what learns nothing has no recipes to mix."""
        return self.declared.serve == "mixture" and self.trains

    @property
    def bias_floor(self) -> float:
        """The least bias worth an alarm: .02 for a probability, a fifth of sd(y) for a regression."""
        return 0.02 if self.task == "binary" else self.scores.spread / 5

    @property
    def current_recipe(self) -> str:
        """The recipe of the artefact served, or ``anchor`` when the anchor itself has come back."""
        champion = self.artefact(self.state.champion)
        if champion.members:  # the declaration asks for one champion from now on
            return self.declared.recipes[0].name
        twin = self.state.twin(champion.recipe)
        old = twin is not None and twin.version != champion.version
        return ANCHOR if champion.version == self.state.anchor and old else champion.recipe

    def slot_loss(self, recipe: str, day: int) -> float:
        """Loss on a closed day of the artefact of ``recipe`` that was in place when the day began."""
        blend = self.in_place((Member(recipe, "", 1.0),), day)
        return np.nan if blend is None else self.blend_loss(blend, day)

    def served(self, lo: int, hi: int, *, raw: bool = False) -> Answers:
        """What requests for the rows ``lo:hi`` were answered; ``raw``: before recalibration."""
        return self.counter.answer(self.state.segments, self.state.artefacts, lo, hi, raw=raw)

    def answer_points(self, day: int) -> np.ndarray:
        """What a closed day's requests were answered, as points (:func:`nenrin.stats.shift.day_points`).

        Empty where nothing was, or where a model of then can no longer be read: a monitor stops nothing.
        Asked for once and kept, as the routes of a closed day change no more.
        """
        if day not in self._points:
            try:
                p = self.served(*self.ground.day_rows(day)).p
            except (IntegrityError, NotFoundError, UnavailableError):
                return np.empty(0)
            finite = p[np.isfinite(p)]
            self._points[day] = day_points(finite) if len(finite) else finite
        return self._points[day]

    def answers(self, blend: Blend, lo: int, hi: int) -> np.ndarray:
        """What the members of a blend answer for the rows ``lo:hi``, float64 (hi - lo,)."""
        return self.counter.blended(blend, self.state.artefacts, lo, hi)

    def answers_of(self, artefact: Artefact, lo: int, hi: int) -> np.ndarray:
        """What an artefact answers for the rows ``lo:hi``, a mixture by the shares of now."""
        if not artefact.members:
            return self.scores.of(artefact, lo, hi)
        return self.answers(blend_of(self.state, artefact.version), lo, hi)

    def loss(self, artefact: Artefact, day: int) -> float:
        """Loss of one artefact on a closed day, of a mixture by the shares of now.

        NaN where the day does not count for it: it has seen those rows.
        """
        if not artefact.members:
            return self.scores.day_loss(artefact, day, self.state.settle)
        if self.ground.day_start(day) < artefact.cutoff:
            return float("nan")
        return self.blend_loss(blend_of(self.state, artefact.version), day)

    def blend_loss(self, blend: Blend, day: int) -> float:
        """Mean loss of a blend on a closed day, with the labels known at its closing."""
        if len(blend) == 1:
            return self.loss(self.artefact(blend[0].version), day)
        answers = self.answers(blend, *self.ground.day_rows(day))
        return self.ground.day_mean(answers, day, self.state.settle)

    def in_place(self, blend: Blend, day: int, before: int = NEVER) -> Blend | None:
        """A blend with the fits that were in place in its slots when ``day`` began, fitted before ``before``.

        None where a slot had none.
        """
        start, found = self.ground.day_start(day), []
        for member in blend:
            fit = (
                self.artefact(self.state.anchor)
                if member.slot == ANCHOR
                else self.state.in_place(member.slot, start, before)
            )
            if fit is None or start < fit.cutoff:
                return None
            found.append(Member(member.slot, fit.version, member.share))
        return tuple(found)

    def record(self, recipe: str, days: range) -> np.ndarray:
        """:meth:`slot_loss` over closed days, float64 (len(days),)."""
        return np.array([self.slot_loss(recipe, day) for day in days], dtype=np.float64)

    def closed_days(self, last: int) -> range:
        """The newest ``last`` closed days, fewer at the beginning."""
        return range(max(0, self.state.next_day - last), self.state.next_day)

    def cap(self) -> float:
        """The clip c of this deployment: .1 nat, or a fifth of the champion's mean loss of 28 days."""
        if self.row_loss == "log_loss":
            return clip_of(self.row_loss, np.empty(0))
        days = self.closed_days(28)
        champion = self.artefact(self.state.champion)
        loss = self._served_loss if champion.members else partial(self.loss, champion)
        return clip_of(self.row_loss, np.array([loss(day) for day in days]))

    def _served_loss(self, day: int) -> float:
        """Mean loss of what was answered on a closed day, before recalibration; NaN where nothing was."""
        answers = self.served(*self.ground.day_rows(day), raw=True).p
        return self.ground.day_mean(answers, day, self.state.settle)
