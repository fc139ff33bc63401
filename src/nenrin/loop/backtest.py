"""The backtest: history replayed through the same loop, beside the policies it is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from nenrin.core.digest import digest_arrays
from nenrin.core.errors import RequestError
from nenrin.loop.comparators import Other
from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Journal, Progress, Step
from nenrin.loop.served import Answers
from nenrin.loop.state import Artefact, Segment
from nenrin.loop.turn import Loop


class PolicyAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy answered in the scored window, and what its fits were.

    Attributes:
        name, title: the policy.
        p: predictions for the window's rows, float64 (rows,).
        version: index into ``versions``, int32 (rows,).
        versions: (version, cut-off) pairs.
        fits: how many models it fitted.
        cpu: CPU seconds of these fits, each as it was when it was made, an observation.
    """

    name: str
    title: str
    p: np.ndarray
    version: np.ndarray
    versions: tuple[tuple[str, int], ...]
    fits: int
    cpu: float = 0.0


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A finished replay.

    Attributes:
        lo, hi: rows of the table that were scored: asked when every policy served.
        answers: the loop first, then the comparators.
        artefacts: every fit of each policy by version.
        segments: what each policy's answers came from.
        steps: what the loop did, in order.
    """

    lo: int
    hi: int
    answers: list[PolicyAnswers]
    artefacts: dict[str, dict[str, Artefact]]
    segments: dict[str, list[Segment]]
    steps: list[Step]


class Backtest:
    """One replay.

    Args:
        deployed: the deployment on its ground, with a fresh state.
        journal: keeps what happens.
        until: instant at which the replay's data ends.
        others: the policies that live through the same days.
    """

    def __init__(
        self, deployed: Deployed, journal: Journal, until: int, others: Sequence[Other]
    ) -> None:
        self._deployed = deployed
        self._journal = journal
        self._until = until
        self._steps: list[Step] = []
        self._others = others

    def play(self, move: Callable[[int], None], progress: Progress | None = None) -> Played:
        """Replay to the end.

        Args:
            move: moves the simulated calendar to an instant.
            progress: told of every day that closes.
        """
        loop = Loop(self._deployed, self._journal, self._until)
        ground, state = self._deployed.ground, self._deployed.state
        first, days = state.next_day, ground.day_at(self._until - 1) + 1
        end = ground.day_closing(ground.day_at(self._until - 1), state.settle)
        while (at := min(loop.due(), *(other.due() for other in self._others))) <= end:
            move(at)
            closed = state.next_day
            self._steps += loop.tick(at)
            self._fit_others(at)
            if state.next_day > closed:
                self._score_others(closed, at)
                if progress:
                    progress("replay", closed - first + 1, days - first, self._note(closed))
        return self._played()

    def _fit_others(self, at: int) -> None:
        """Let the others do what is due; the parameters of comparators are those that the loop tuned."""
        step = Step(at=at)
        for other in self._others:
            if other.due() <= at:
                other.advance(self._deployed.state.params, step)
        if step.fits:
            self._journal.commit(step, self._deployed.state)

    def _score_others(self, day: int, at: int) -> None:
        """Put the digest of each comparator's answers of a closed day under the ledger's hash."""
        lo, hi = self._deployed.ground.day_rows(day)
        hashes = self._deployed.counter.hashes[lo:hi]
        body = {}
        for other in self._others:
            if other.segments and other.segments[0].start < self._deployed.ground.day_start(
                day + 1
            ):
                answers = other.answer(lo, hi)
                body[other.name] = digest_arrays(hashes, answers.p, answers.version)
        if body:
            step = Step(at=at)
            step.record("policies.answered", self._deployed.ground.day_name(day), body)
            self._journal.commit(step, self._deployed.state)

    def _note(self, day: int) -> str:
        state = self._deployed.state
        return f"{self._deployed.ground.day_name(day)}, {state.rings} rings"

    def _played(self) -> Played:
        state, ground = self._deployed.state, self._deployed.ground
        if not state.segments:
            raise RequestError(
                "the gate refused the first version, so nothing was served",
                hint="see why: nenrin rings",
            )
        silent = [other.title for other in self._others if not other.segments]
        if silent:
            raise RequestError(
                f"the policy {silent[0]} never served anything",
                hint="its gate refused its first version: leave it out, or loosen its gates=",
            )
        start = max(
            segments[0].start for segments in (state.segments, *(o.segments for o in self._others))
        )
        lo, hi = ground.rows_between(start, self._until)
        loop = _answers("loop", "the loop", self._deployed.served(lo, hi), state.artefacts, 0)
        made = [fitted for step in self._steps for _, fitted in step.fits]
        loop = msgspec.structs.replace(loop, fits=len(made), cpu=sum(each.cpu for each in made))
        others = [
            msgspec.structs.replace(
                _answers(o.name, o.title, o.answer(lo, hi), o.artefacts, o.fits), cpu=o.cpu
            )
            for o in self._others
        ]
        artefacts = {"loop": state.artefacts}
        artefacts |= {other.name: other.artefacts for other in self._others}
        segments = {"loop": state.segments}
        segments |= {other.name: other.segments for other in self._others}
        return Played(
            lo=lo,
            hi=hi,
            answers=[loop, *others],
            artefacts=artefacts,
            segments=segments,
            steps=self._steps,
        )


def _answers(
    name: str, title: str, answers: Answers, artefacts: Mapping[str, Artefact], fits: int
) -> PolicyAnswers:
    versions = tuple((version, artefacts[version].cutoff) for version in answers.versions)
    return PolicyAnswers(
        name=name, title=title, p=answers.p, version=answers.version, versions=versions, fits=fits
    )
