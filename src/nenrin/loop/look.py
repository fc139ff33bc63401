"""A look: the recipes race, the gate speaks, every recipe is fitted anew, one may go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.core.instants import DAY, NEVER, iso
from nenrin.gates.comparison import Comparison, admits
from nenrin.gates.judge import judge
from nenrin.gates.sanity import Flaw
from nenrin.loop.deployed import Deployed
from nenrin.loop.evidence import JUDGED_DAYS, against, flaws_of, gather
from nenrin.loop.ports import Fitted, Order, Step
from nenrin.loop.race import ANCHOR, Race, race
from nenrin.loop.rollout import decide
from nenrin.loop.schedule import grid_look
from nenrin.loop.state import Artefact


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of one recipe's refresh: judged by which twin, on which evidence."""

    recipe: str
    twin: Artefact
    evidence: Comparison
    ok: bool

    def as_dict(self) -> dict[str, Any]:
        """As a look's event keeps it."""
        found = self.evidence
        return {
            "twin": self.twin.version,
            "ok": self.ok,
            "verdict": found.verdict,
            "mean": found.mean,
            "se": found.se if np.isfinite(found.se) else None,
            "days": found.days,
        }


def take_look(deployed: Deployed, at: int, step: Step) -> None:
    """Decide a refresh at ``at``, on schedule or pulled forward by an alarm."""
    state = deployed.state
    trigger = _trigger(deployed, at)
    broken = _broken_data(deployed, at, step)
    if broken:
        step.record("look.blocked", deployed.name, {"trigger": trigger, "checks": broken})
        return
    state.rings += 1
    contest = _race(deployed)
    standings = _standings(deployed, contest)
    chosen = next((standing for standing in standings if standing.ok), None)
    switch = chosen is not None and chosen.recipe not in (deployed.current_recipe, ANCHOR)
    names = [recipe.name for recipe in deployed.declared.recipes]
    fitted, flaws = refit(deployed, names, at, step)
    ships = _verdict(deployed, chosen or standings[0], chosen, switch, fitted, flaws, at, step)
    step.record(
        "look.taken",
        deployed.name,
        {
            "ring": state.rings,
            "trigger": trigger,
            "champion": state.champion,
            "best": contest.best,
            "elected": contest.elected,
            "means": contest.means,
            "standings": {standing.recipe: standing.as_dict() for standing in standings},
            "chosen": chosen.recipe if chosen else None,
            "ships": ships,
        },
    )
    if ships and ships != state.champion:
        decide(deployed, ships, at, canary=switch)


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


def _trigger(deployed: Deployed, at: int) -> str:
    """Why this look is taken; moves the schedule on."""
    state = deployed.state
    trigger = "schedule" if state.next_look <= at else "alarm"
    state.last_look, state.pulled = at, NEVER
    if state.next_look <= at:
        state.next_look = grid_look(deployed, state.next_look)
    while state.next_look <= deployed.options.thawed:  # of the looks that were held, one is taken
        state.next_look = grid_look(deployed, state.next_look)
    return trigger


def _broken_data(deployed: Deployed, at: int, step: Step) -> list[dict[str, Any]]:
    """Data tests that fail on what became known in the last 7 days; they block the refresh."""
    state = deployed.state
    failed = deployed.checks(at - 7 * DAY, at)
    if failed and state.broken == NEVER:
        state.broken = at
        step.record("alarm.opened", "data", {"checks": failed})
    elif not failed and state.broken != NEVER:
        step.record("alarm.resolved", "data", {"opened": iso(state.broken)})
        state.broken = NEVER
    return failed


def _race(deployed: Deployed) -> Race:
    days = deployed.closed_days(28)
    names = [*[recipe.name for recipe in deployed.declared.recipes], ANCHOR]
    return race({name: deployed.record(name, days) for name in names}, deployed.current_recipe)


def _standings(deployed: Deployed, contest: Race) -> list[Standing]:
    """The elected recipe, then the others by their mean loss; the anchor only if it is the elected."""
    others = [r.name for r in deployed.declared.recipes if r.name != contest.elected]
    if contest.means:
        others.sort(key=lambda name: contest.means[name])
    return [
        standing
        for name in [contest.elected, *others]
        if (standing := _standing(deployed, name)) is not None
    ]


def _standing(deployed: Deployed, recipe: str) -> Standing | None:
    """Judge a recipe by its twin against the champion; None where it has no twin."""
    state = deployed.state
    twin = deployed.artefact(state.anchor) if recipe == ANCHOR else state.twin(recipe)
    if twin is None:
        return None
    champion = deployed.artefact(state.champion)
    evidence = against(deployed, twin, champion, deployed.closed_days(JUDGED_DAYS))
    ok = admits(
        evidence,
        anchor=recipe == ANCHOR,
        probation=recipe in state.probation,
        slack=deployed.cap() / 20,
    )
    return Standing(recipe=recipe, twin=twin, evidence=evidence, ok=ok)


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


def _verdict(
    deployed: Deployed,
    subject: Standing,
    chosen: Standing | None,
    switch: bool,
    fitted: dict[str, Artefact],
    flaws: dict[str, tuple[Flaw, ...]],
    at: int,
    step: Step,
) -> str | None:
    """What the gate says of the chosen, or of the first refused; the version that ships, if any."""
    state = deployed.state
    anchor = subject.recipe == ANCHOR
    ships = subject.twin.version if anchor else fitted[subject.recipe].version
    evidence = gather(
        deployed,
        subject.twin,
        deployed.closed_days(JUDGED_DAYS),
        change="anchor" if anchor else "recipe" if switch else "refresh",
        probation=subject.recipe in state.probation,
        flaws=flaws.get(subject.recipe, ()),
    )
    verdict = judge(
        deployment=deployed.name,
        judged=subject.twin.version,
        ships=ships,
        against={"champion": state.champion, "anchor": state.anchor, "baseline": "prior"},
        evidence=evidence,
        policy=deployed.policy,
        at=at,
    )
    step.verdicts.append(verdict)
    return ships if verdict.admitted and chosen is not None else None


def _strike(deployed: Deployed, fitted: dict[str, Artefact], at: int, step: Step) -> None:
    """Let injected faults hit these fits: the first on or after the fault's date."""
    state = deployed.state
    for injection in deployed.options.injections:
        if injection.text in state.struck or not injection.strikes(at, deployed.ground.zone):
            continue
        state.struck = [*state.struck, injection.text]
        fault = injection.fault(deployed.task)
        for artefact in fitted.values():
            hit = msgspec.structs.replace(artefact, fault=fault)
            state.artefacts = {**state.artefacts, artefact.version: hit}
        body = {"versions": [artefact.version for artefact in fitted.values()]}
        step.record("fault.injected", injection.text, body)
