"""One champion: the recipes race, the first that the gate lets through is refreshed and served."""

from __future__ import annotations

from nenrin.gates.evidence import Change
from nenrin.loop.deployed import Deployed
from nenrin.loop.fitting import refit
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR, Race, race
from nenrin.loop.standing import Outcome, Standing, standing_of, verdict_on


def elect(deployed: Deployed, at: int, step: Step) -> Outcome:
    """Race the recipes, fit every one anew, and choose the version to serve, if any."""
    contest = _race(deployed)
    standings = _standings(deployed, contest)
    names = [recipe.name for recipe in deployed.declared.recipes]
    fitted, flaws = refit(deployed, names, at, step)
    if not standings:  # all that is declared is new: its first fits are twins at the next look
        return Outcome(ships=None, canary=False, told={"chosen": None})
    chosen = next((standing for standing in standings if standing.ok), None)
    subject = chosen or standings[0]
    anchor = subject.recipe == ANCHOR
    verdict = verdict_on(
        deployed,
        subject,
        subject.twin.version if anchor else fitted[subject.recipe].version,
        flaws.get(subject.recipe, ()),
        at,
    )
    step.verdicts.append(verdict)
    return Outcome(
        ships=verdict.ships if verdict.admitted and chosen is not None else None,
        canary=subject.evidence.change == "recipe",
        told={
            "best": contest.best,
            "elected": contest.elected,
            "means": contest.means,
            "standings": {standing.recipe: standing.as_dict() for standing in standings},
            "chosen": chosen.recipe if chosen else None,
        },
    )


def _change(deployed: Deployed, recipe: str) -> Change:
    """What it would be to serve the recipe's refresh."""
    if recipe == ANCHOR:
        return "anchor"
    return "refresh" if recipe == deployed.current_recipe else "recipe"


def _race(deployed: Deployed) -> Race:
    days = deployed.closed_days(28)
    current = deployed.current_recipe  # which may be declared no more
    names = dict.fromkeys([*(r.name for r in deployed.declared.recipes), current, ANCHOR])
    return race({name: deployed.record(name, days) for name in names}, current)


def _standings(deployed: Deployed, contest: Race) -> list[Standing]:
    """The elected recipe, then the others by their mean loss; the anchor only if it is the elected."""
    champion = deployed.artefact(deployed.state.champion)
    declared = {*(recipe.name for recipe in deployed.declared.recipes), ANCHOR}
    others = [r.name for r in deployed.declared.recipes if r.name != contest.elected]
    if contest.means:
        others.sort(key=lambda name: contest.means[name])
    return [
        standing
        for name in [contest.elected, *others]
        if name in declared
        and (standing := standing_of(deployed, name, champion, _change(deployed, name))) is not None
    ]
