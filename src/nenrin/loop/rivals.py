"""Another deployment of the same model as a policy: it lives through the same days by its own rules.

It reads the same rows and the same predictions, so that what two policies share is fitted and scored once.
Its versions are registered beside the loop's; its decisions are its own, and no event.
"""

from __future__ import annotations

from typing import Any

from nenrin.loop.deployed import Deployed
from nenrin.loop.ports import Step
from nenrin.loop.served import Answers
from nenrin.loop.state import Artefact, Segment, State
from nenrin.loop.turn import Loop


class _Unwritten:
    """A journal that forgets."""

    def commit(self, step: Step, state: State) -> None:
        """Nothing is kept."""


class Rival:
    """One deployment's loop beside another's.

    Args:
        name, title: how it is called.
        deployed: the deployment on the shared ground, with a fresh state.
        until: instant after which no look is taken.
    """

    def __init__(self, name: str, title: str, deployed: Deployed, until: int) -> None:
        self.name = name
        self.title = title
        self.fits = 0
        self.cpu = 0.0
        self._deployed = deployed
        self._loop = Loop(deployed, _Unwritten(), until)

    @property
    def artefacts(self) -> dict[str, Artefact]:
        """Its fits and mixtures, by version."""
        return self._deployed.state.artefacts

    @property
    def segments(self) -> list[Segment]:
        """What its answers came from."""
        return self._deployed.state.segments

    def due(self) -> int:
        """When it does something next."""
        return self._loop.due()

    def advance(self, params: dict[str, Any], step: Step) -> None:
        """Do what is due; it tunes by itself, and finds what the loop found."""
        for made in self._loop.tick(step.at):
            step.fits += made.fits
            step.mixtures += made.mixtures
            self.fits += len(made.fits)
            self.cpu += sum(fitted.cpu for _, fitted in made.fits)

    def answer(self, lo: int, hi: int) -> Answers:
        """What it would have answered for the rows ``lo:hi``."""
        return self._deployed.served(lo, hi)
