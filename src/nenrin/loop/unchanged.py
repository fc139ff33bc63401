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
    """Whether the trainer's code fits the champion anew, bit for bit.

    Args:
        trainer: of the code in question.
        declared: the deployment by that code.
        state: who is champion, and by which parameters.
        params: what that code's tuning found.
    """
    champion = state.artefacts[state.champion]
    recipes = {recipe.name: recipe for recipe in declared.recipes}
    if params != state.params or champion.recipe not in recipes:
        return False
    order = Order(
        recipe=recipes[champion.recipe], at=champion.look, cutoff=champion.cutoff, params=params
    )
    return trainer.fit([order])[0].model == champion.model
