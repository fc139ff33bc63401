"""Experiments: versions side by side on one deployment, by weights that only the experiment moves.

While one runs the deployment is frozen: the loop promotes and trains nothing there. It ends when it is
stopped, or when anything else than its versions answers: a promotion by hand, a roll-back.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nenrin.core.errors import ConflictError, RequestError
from nenrin.core.unit import Unit
from nenrin.serving.router import Route, Variant

FIXED, BANDIT = "fixed", "bandit"
STRATEGIES = (FIXED, BANDIT)


class Stretch(msgspec.Struct, frozen=True):
    """From ``start`` on, the versions had these percentages, in the order of ``Experiment.versions``."""

    start: int
    weights: tuple[int, ...]


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment of one deployment; the newest is kept with it.

    Attributes:
        versions: who is compared: first the champion, then the challengers.
        stretches: the weights since the start, oldest first.
        strategy: ``fixed`` or ``bandit``.
        outcome: ``dataset.column``, joined by key; empty: the model's own loss by delayed labels.
        lower: whether less of the outcome is better.
        days: closed days before *no difference* is said.
        effect: the smallest difference that matters; None: not said.
        read: the last closed day whose rewards moved the weights, as ``YYYY-MM-DD``.
        ended: instant of its end, microseconds UTC; 0 while it runs.
        why: why it ended.
    """

    versions: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    strategy: str = FIXED
    outcome: str = ""
    lower: bool = True
    days: int = 14
    effect: float | None = None
    read: str = ""
    ended: int = 0
    why: str = ""

    @property
    def started(self) -> int:
        """Instant of its start, microseconds UTC."""
        return self.stretches[0].start

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return not self.ended


def dealt(weight: int, challengers: int) -> tuple[int, ...]:
    """Percentages: the champion's, then of the challengers, who share ``weight`` evenly.

    Raises:
        RequestError: someone would have nothing.
    """
    if challengers < 1 or not challengers <= weight <= 99:
        raise RequestError(
            f"{weight} % cannot be dealt to {challengers} challengers beside the champion",
            hint="name a version, and a weight from 1 to 99 in which each challenger has a percent",
            where="weight",
        )
    each, rest = divmod(weight, challengers)
    return (100 - weight, *(each + (place < rest) for place in range(challengers)))


def routed(route: Route, experiment: Experiment, features: Sequence[str]) -> Route:
    """The route of an experiment by its newest weights; the champion's part stays as it is.

    Args:
        route: the route of now.
        experiment: whose versions are to answer.
        features: the challengers' feature states.
    """
    mine, *theirs = experiment.stretches[-1].weights
    champion = msgspec.structs.replace(route.champion, weight=mine)
    challengers = [
        Variant(
            version=version,
            weight=weight,
            features=state,
            recalibration=route.champion.recalibration,
        )
        for version, weight, state in zip(experiment.versions[1:], theirs, features, strict=True)
    ]
    return msgspec.structs.replace(route, variants=(champion, *challengers))


def refuse_second(experiment: Experiment | None, name: str) -> None:
    """Let no second experiment in, and no thaw, while one runs.

    Raises:
        ConflictError: one runs.
    """
    if experiment is not None and experiment.runs:
        raise ConflictError(
            f"an experiment runs on {name!r}",
            hint=f"nenrin experiments stop {name} ends it",
            where=name,
        )


def over(experiment: Experiment | None, route: Route) -> bool:
    """Whether a running experiment is over, because other versions answer than its own."""
    if experiment is None or not experiment.runs:
        return False
    return tuple(variant.version for variant in route.variants) != experiment.versions


def moved(experiment: Experiment, unit: Unit, weights: tuple[int, ...], read: str) -> Experiment:
    """The experiment with other weights from now on."""
    stretches = experiment.stretches
    if weights != stretches[-1].weights:
        stretches = (*stretches, Stretch(unit.at, weights))
    return msgspec.structs.replace(experiment, stretches=stretches, read=read)
