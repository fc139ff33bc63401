"""``Loop.tick``: the one entry through which business time acts, past or present.

A backtest's simulated calendar and a live timer call the same method. Everything that is due up to ``now``
happens in order of its instant, each instant's events and state in one unit of work.
"""

from __future__ import annotations

from collections.abc import Callable

from nenrin.core.instants import NEVER
from nenrin.loop.closing import answer_alarm, close_block, fit_again
from nenrin.loop.deployed import Deployed
from nenrin.loop.first import first_look
from nenrin.loop.holding import held, hold
from nenrin.loop.look import take_look
from nenrin.loop.ports import Journal, Step
from nenrin.loop.rollout import begin, stage_up

Act = Callable[[Deployed, int, Step], None]


class Loop:
    """The loop of one deployment.

    Args:
        deployed: what it works on.
        journal: keeps what it does.
        until: instant after which no look is taken, because the data ends there.
    """

    def __init__(self, deployed: Deployed, journal: Journal, until: int) -> None:
        self.deployed = deployed
        self._journal = journal
        self._until = until

    def due(self) -> int:
        """The next instant at which something is due; ``NEVER`` when the data has no more."""
        return min(instant for instant, _ in self._agenda())

    def tick(self, now: int) -> list[Step]:
        """Do everything that is due at ``now``, oldest first.

        Returns:
            the steps that changed something, in order.
        """
        steps = []
        while (at := self.due()) <= now:
            step = self._advance(at)
            if step.lines or step.fits or step.route:
                self._journal.commit(step, self.deployed.state)
                steps.append(step)
        return steps + self._held(now)

    def _held(self, now: int) -> list[Step]:
        """What a freeze keeps from being done, where the ledger does not know it yet."""
        frozen, state = self.deployed.options.frozen, self.deployed.state
        if frozen is None:
            return []
        step = Step(at=now)
        hold(self.deployed.name, state, held(state, now), frozen, step)
        if not step.lines:
            return []
        self._journal.commit(step, state)
        return [step]

    def _advance(self, at: int) -> Step:
        """One due instant: closings first, then what was decided earlier, then a look."""
        step = Step(at=at)
        for instant, act in self._agenda():
            if instant == at:
                act(self.deployed, at, step)
                break
        return step

    def _agenda(self) -> list[tuple[int, Act]]:
        """Instants and what is due then, in the order in which things of one instant happen."""
        state, ground = self.deployed.state, self.deployed.ground
        more = state.next_block < ground.blocks
        closing = (ground.closing(state.next_block, state.settle) if more else NEVER, close_block)
        if self.deployed.options.frozen is not None:
            return [closing]
        thawed = self.deployed.options.thawed
        look = max(min(state.next_look, state.pulled), thawed)
        see = take_look if state.champion or state.pending else first_look
        alarms = state.watch is not None and state.watch.wealth.alarms
        return [
            closing,
            (thawed if alarms else NEVER, answer_alarm),  # a freeze held it
            (max(state.pending.at, thawed) if state.pending else NEVER, begin),
            (NEVER if self.deployed.options.paused else max(state.stage_at, thawed), stage_up),
            (max(state.refit_at, thawed), fit_again),
            (look if look <= self._until else NEVER, see),
        ]
