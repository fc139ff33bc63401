"""Code that changes nothing: fitted on the champion's rows it answers every row as the champion does.

A comment, a step of one's own or a gate makes another revision. It is not judged as new code is, for it could
never be *better*.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nenrin.loop.declare import DeploymentSpec
from nenrin.loop.mixture import fits_of
from nenrin.loop.ports import Order, Trainer
from nenrin.loop.state import State


def fits_the_same(
    trainer: Trainer, declared: DeploymentSpec, state: State, params: dict[str, Any], rows: int
) -> bool:
    """Whether the trainer's code fits anew all that is served, by the champion or by its canary.

    Fits are the same by their bytes, or by their answers to every row, to the bit: the bytes of a pickled
    object hold line numbers too.

    Args:
        trainer: of the code in question.
        declared: the deployment by that code.
        state: who is served, and by which parameters.
        params: what that code's tuning found.
        rows: how many rows the trainer's table has.
    """
    if params != state.params:
        return False
    canaries = [version for version, _ in state.segments[-1].variants] if state.segments else []
    recipes = {recipe.name: recipe for recipe in declared.recipes}

    def alike(version: str) -> bool:
        served = [state.artefacts[fit] for fit in fits_of(state.artefacts[version])]
        known = [old for old in served if old.recipe in recipes]
        orders = [
            Order(recipe=recipes[old.recipe], at=old.look, cutoff=old.cutoff, params=params)
            for old in known
        ]
        fits = zip(trainer.fit(orders), known, strict=True)
        return bool(known) and all(_alike(trainer, fit.model, old.model, rows) for fit, old in fits)

    return any(alike(version) for version in dict.fromkeys([state.champion, *canaries]))


def _alike(trainer: Trainer, model: str, old: str, rows: int) -> bool:
    if model == old:
        return True
    if not trainer.scorable(old):
        return False
    mine, theirs = (trainer.scores(each, [(0, rows)])[0] for each in (model, old))
    return np.array_equal(mine, theirs, equal_nan=True)
