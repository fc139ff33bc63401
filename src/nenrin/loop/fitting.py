"""Fitting recipes anew: each sound fit is its recipe's twin from now on, each flawed one is marked bad."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nenrin.gates.sanity import Flaw
from nenrin.loop.deployed import Deployed
from nenrin.loop.evidence import flaws_of
from nenrin.loop.ports import Fitted, Order, Step
from nenrin.loop.state import Artefact


def refit(
    deployed: Deployed, recipes: Sequence[str], at: int, step: Step
) -> tuple[dict[str, Artefact], dict[str, tuple[Flaw, ...]]]:
    """Fit recipes on what is closed at ``at``; each sound fit is its recipe's twin from now on.

    Returns:
        recipe to its fit, and recipe to the fit's flaws, which mark it bad.
    """
    state = deployed.state
    twins = {name: state.twin(name) for name in recipes}
    ground = deployed.ground
    # What learns nothing has seen no day: it can be compared on all of them.
    cutoff = ground.cut.cutoff(at, state.settle) if deployed.trains else ground.start
    orders = [
        Order(recipe=deployed.recipe(name), at=at, cutoff=cutoff, params=state.params)
        for name in recipes
    ]
    made: dict[str, Artefact] = {}
    for order, fit in zip(orders, deployed.trainer.fit(orders), strict=True):
        artefact = fit.artefact(order)
        enter(deployed, artefact, fit, step)
        made[order.recipe.name] = artefact
    flaws = _inspect(deployed, made, twins, step)
    _strike(deployed, made, at, step)
    return made, flaws


def enter(deployed: Deployed, artefact: Artefact, fit: Fitted, step: Step) -> None:
    """Take a fit into the state: it is its recipe's newest."""
    state = deployed.state
    state.artefacts = {**state.artefacts, artefact.version: artefact}
    versions = [v for v in state.fits.get(artefact.recipe, []) if v != artefact.version]
    state.fits = {**state.fits, artefact.recipe: [*versions, artefact.version]}
    step.fits.append((artefact, fit))


def _inspect(
    deployed: Deployed,
    fitted: dict[str, Artefact],
    twins: dict[str, Artefact | None],
    step: Step,
) -> dict[str, tuple[Flaw, ...]]:
    """Look at every fit; one with a flaw is marked bad, so that its twin stays its recipe's twin."""
    found = {name: flaws_of(deployed, fit, twins.get(name)) for name, fit in fitted.items()}
    for name, flaws in found.items():
        if flaws:
            version = fitted[name].version
            deployed.state.bad = [*deployed.state.bad, version]
            step.bad.append(version)
            texts = [flaw.text for flaw in flaws]
            step.why = step.why or f"the fit is flawed: {'; '.join(texts)}"
            step.record("fit.refused", version, {"recipe": name, "flaws": texts})
    return found


def _strike(deployed: Deployed, fitted: dict[str, Artefact], at: int, step: Step) -> None:
    """Let injected faults hit these fits: the first on or after the fault's date."""
    state = deployed.state
    for injection in deployed.options.injections:
        over = injection.text in state.struck and not injection.stays
        if over or not injection.strikes(at, deployed.ground.zone):
            continue
        first = deployed.declared.recipes[0].name
        struck = [fit for name, fit in fitted.items() if not injection.one or name == first]
        if not struck:
            continue
        state.struck = list(dict.fromkeys([*state.struck, injection.text]))
        for artefact in struck:
            hit = msgspec.structs.replace(artefact, fault=injection.fault(deployed.task))
            state.artefacts = {**state.artefacts, artefact.version: hit}
        body = {"versions": [artefact.version for artefact in struck]}
        step.record("fault.injected", injection.text, body)
