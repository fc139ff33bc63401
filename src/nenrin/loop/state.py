"""What the loop remembers of one deployment between two ticks."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.core.instants import NEVER
from nenrin.monitoring.alarms import Alarm
from nenrin.monitoring.prediction_shift import Shifts
from nenrin.serving.router import Member
from nenrin.stats.betting import Wealth
from nenrin.stats.platt import Platt

Blend = tuple[Member, ...]
"""Who answers, with shares that add up to 1; a version that is no mixture answers alone."""


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model that the loop can score and serve, or a mixture of such.

    Attributes:
        version: its id in the registry.
        model: digest of its content.
        recipe: the recipe that it was fitted by; ``mixture`` where it was not fitted but put together.
        look: business instant at which it was fitted.
        cutoff: end of the last closed block it was trained on; days from then on are out of sample.
        fault: an injected fault that its answers carry; empty outside fault injection.
        members: of a mixture, (slot, version) of each fit in it; empty for a fit.
    """

    version: str
    model: str
    recipe: str
    look: int
    cutoff: int
    fault: str = ""
    members: tuple[tuple[str, str], ...] = ()


class Segment(msgspec.Struct, frozen=True):
    """A stretch of time in which answers came from the same.

    Attributes:
        start: its beginning.
        variants: (version, weight) pairs.
        blends: of each version that is a mixture, its members with their shares.
        recalibration: what answers went through; None: nothing.
    """

    start: int
    variants: tuple[tuple[str, int], ...]
    blends: tuple[tuple[str, Blend], ...] = ()
    recalibration: Platt | None = None


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """An open watch over one promotion.

    Attributes:
        subject: the promoted version.
        ref: the version that a roll-back would serve.
        ref_since: when ``ref`` was set; a refresh under suspicion inherits it.
        opened: first instant at which the subject was served; blocks that begin earlier do not count.
        margin: tolerated harm m, fixed when the watch opened.
        cap: clip c of a block's mean difference.
        wealth: what the two bets hold.
        block: number of the next block to read.
        held: first block of a run that has too few labels on its own; -1 when there is none.
        blocks: blocks (after merging) that were read.
        mine, theirs: who answered for ``subject`` and ``ref`` when the watch opened; empty: they alone.
    """

    subject: str
    ref: str
    ref_since: int
    opened: int
    margin: float
    cap: float
    wealth: Wealth = Wealth()
    block: int
    held: int = -1
    blocks: int = 0
    mine: Blend = ()
    theirs: Blend = ()

    def read(self, harm: float) -> Watch:
        """The watch after one more closed block.

        Args:
            harm: mean of (loss of ``subject`` - loss of ``ref``) over the block's rows.
        """
        wealth = self.wealth.bet(harm, self.margin, self.cap)
        return msgspec.structs.replace(self, held=-1, blocks=self.blocks + 1, wealth=wealth)

    def over(self, at: int, watch_for: int) -> bool:
        """Whether it has lasted ``watch_for`` microseconds at the instant ``at``."""
        return at - self.opened >= watch_for


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that will be served from ``at`` on, at the percentages ``stages`` one after the other."""

    version: str
    at: int
    stages: tuple[int, ...]
    ring: int


class State(msgspec.Struct, kw_only=True):
    """Everything the loop needs to go on; plain values, kept as JSON with each step's events.

    Attributes:
        settle: microseconds after which a block's labels count as complete.
        next_block: number of the first block that is not closed.
        next_day: number of the first day that is not closed.
        next_look: instant of the next scheduled look; the grid never moves.
        pulled: instant of a look that an alarm pulled forward; ``NEVER`` when there is none.
        last_look: instant of the newest look.
        now: the environment's instant when the loop last turned live.
        rings: looks taken so far.
        params: the tuned parameters that fits are made with.
        artefacts: every fit by version.
        fits: recipe to its versions, oldest first.
        bad: versions never to be served or compared again.
        champion: the version served to all, or to all but the canary's part; empty before the first.
        anchor: shipped fit of the last verdict *better* over new code, at first of the first verdict.
        slots: what each slot of the mixture serves, by recipe; the anchor's slot is its own.
        shares: by anchor, what part of an answer each slot has: new code begins its slots anew.
        recalibration: what answers go through now; None: nothing.
        candidates: recalibrations by the instant at which they were fitted, oldest first.
        gains: what the recalibration of its time would have gained on each closed day, by the day's number.
        probation: recipes whose last promotion was rolled back.
        segments: routes so far.
        pending: the promotion that has been decided and not begun.
        stages_left: percentages of the canary in progress.
        stage_at: when the next of them begins; ``NEVER`` when there is none.
        watch: the open watch.
        refits, refit_at: recipes to be fitted after an unsafe version was taken back, and since when.
        alarms: the open ones.
        shifts: what the comparison of answers remembers from day to day.
        compared: days of answers that were compared with how many before them when a day closed last;
            None before the first did.
        ticketed: versions for which an age ticket was opened.
        struck: injected faults that have struck.
        code: digest of the project that the slots were fitted by.
        refused: digest of the project whose code the gate refused last: looks go by the code that serves.
        table: digest of the row table that they are scored on.
        labels: labelled rows at the newest fit, where rows have no time.
        held: changes that a freeze holds and that the ledger was told of: kind to what it was then.
        held_out: version to the digest of its cross-validated answers, where rows have no time.
        written: how often it has been written: who writes what it did not read last is refused.
    """

    settle: int
    next_block: int
    next_day: int
    next_look: int
    pulled: int = NEVER
    last_look: int = -NEVER
    now: int = 0
    rings: int = 0
    params: dict[str, Any] = {}
    artefacts: dict[str, Artefact] = {}
    fits: dict[str, list[str]] = {}
    bad: list[str] = []
    champion: str = ""
    anchor: str = ""
    slots: dict[str, str] = {}
    shares: dict[str, dict[str, float]] = {}
    recalibration: Platt | None = None
    candidates: list[tuple[int, Platt]] = []
    gains: dict[int, float] = {}
    probation: list[str] = []
    segments: list[Segment] = []
    pending: Promotion | None = None
    stages_left: tuple[int, ...] = ()
    stage_at: int = NEVER
    watch: Watch | None = None
    refits: list[str] = []
    refit_at: int = NEVER
    alarms: list[Alarm] = []
    shifts: Shifts = Shifts()
    compared: tuple[int, int] | None = None
    ticketed: list[str] = []
    struck: list[str] = []
    code: str = ""
    refused: str = ""
    table: str = ""
    labels: int = 0
    held: dict[str, str] = {}
    held_out: dict[str, str] = {}
    written: int = 0

    def twin(self, recipe: str) -> Artefact | None:
        """The newest fit of ``recipe`` that is not marked bad."""
        for version in reversed(self.fits.get(recipe, [])):
            if version not in self.bad:
                return self.artefacts[version]
        return None

    def in_place(self, recipe: str, instant: int, before: int = NEVER) -> Artefact | None:
        """The newest good fit of ``recipe`` whose cut-off is not after ``instant``.

        ``before`` asks for the newest of those fitted before that look.
        """
        for version in reversed(self.fits.get(recipe, [])):
            artefact = self.artefacts[version]
            if version not in self.bad and artefact.cutoff <= instant and artefact.look < before:
                return artefact
        return None

    def dumps(self) -> bytes:
        """The state as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def loads(cls, data: bytes) -> State:
        """The state that :meth:`dumps` wrote."""
        return msgspec.json.decode(data, type=cls)
