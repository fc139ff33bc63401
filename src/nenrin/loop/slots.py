"""A mixture's look: every slot is judged for itself, and the next mixture holds the fits that were admitted.

A slot whose refresh is refused serves on what it serves. The recipes stay, so the new mixture takes the fast
lane; only a mixture that follows a single version goes out as a canary.
"""

from __future__ import annotations

from collections.abc import Mapping

from nenrin.loop.deployed import Deployed
from nenrin.loop.fitting import refit
from nenrin.loop.mixture import compose
from nenrin.loop.ports import Step
from nenrin.loop.sharing import join_shares
from nenrin.loop.standing import Outcome, Standing, standing_of, verdict_on
from nenrin.loop.state import Artefact


def fill(deployed: Deployed, at: int, step: Step) -> Outcome:
    """Fit every recipe anew, and put the admitted fits into their slots."""
    state = deployed.state
    names = [recipe.name for recipe in deployed.declared.recipes]
    standings = {name: found for name in names if (found := _standing(deployed, name)) is not None}
    fitted, flaws = refit(deployed, names, at, step)
    slots, chosen = dict(state.slots), []
    for name, standing in standings.items():
        verdict = verdict_on(deployed, standing, fitted[name].version, flaws.get(name, ()), at)
        step.verdicts.append(verdict)
        if verdict.admitted:
            slots[name] = fitted[name].version
            chosen.append(name)
    join_shares(deployed)
    ships = together(deployed, slots, at, step).version if slots else None
    return Outcome(
        ships=ships,
        canary=not deployed.artefact(state.champion).members,
        told={
            "standings": {name: standing.as_dict() for name, standing in standings.items()},
            "shares": state.shares[state.anchor],
            "chosen": ", ".join(chosen) or None,
        },
    )


def together(deployed: Deployed, slots: Mapping[str, str], at: int, step: Step) -> Artefact:
    """Register the mixture of these fits and the anchor; the one there is, where no slot has changed."""
    state = deployed.state
    ordered = {r.name: slots[r.name] for r in deployed.declared.recipes if r.name in slots}
    mixture, content = compose(state, deployed.name, ordered, at)
    known = state.artefacts.get(mixture.version)
    if known is not None:
        return known
    state.artefacts = {**state.artefacts, mixture.version: mixture}
    step.mixtures.append((mixture, content))
    return mixture


def _standing(deployed: Deployed, name: str) -> Standing | None:
    """A recipe against what its slot serves; on probation in an empty slot, against the whole mixture."""
    state = deployed.state
    empty = state.champion if name in state.probation else ""
    served = state.slots.get(name, empty)
    return standing_of(deployed, name, deployed.artefact(served) if served else None, "refresh")
