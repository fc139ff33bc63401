"""Code that changes nothing: it gives the champion's very bytes from the champion's rows.

A comment, a step of one's own or a gate makes another revision. It is not judged as new code is, for it could
never be *better*.
"""

from __future__ import annotations

from typing import Any

from nenrin.loop.declare import DeploymentSpec
from nenrin.loop.ports import Order, Trainer
from nenrin.loop.state import State


def fits_the_same(
    trainer: Trainer, declared: DeploymentSpec, state: State, params: dict[str, Any]
) -> bool:
    """Whether the trainer's code fits anew what is served, the champion or its canary, bit for bit.

    Args:
        trainer: of the code in question.
        declared: the deployment by that code.
        state: who is served, and by which parameters.
        params: what that code's tuning found.
    """
    if params != state.params:
        return False
    canaries = [version for version, _ in state.segments[-1].variants] if state.segments else []
    served = [state.artefacts[version] for version in dict.fromkeys([state.champion, *canaries])]
    recipes = {recipe.name: recipe for recipe in declared.recipes}
    orders = [
        Order(recipe=recipes[old.recipe], at=old.look, cutoff=old.cutoff, params=params)
        for old in served
        if old.recipe in recipes
    ]
    fitted = {fit.model for fit in trainer.fit(orders)}
    return not fitted.isdisjoint(old.model for old in served)
