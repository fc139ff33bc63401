"""What the gate says of one recipe's refresh: judged by its twin, on the closed days since its fit."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from nenrin.gates.comparison import Comparison, admits, compare
from nenrin.gates.evidence import Change
from nenrin.gates.judge import judge
from nenrin.gates.sanity import Flaw
from nenrin.gates.verdict import Verdict
from nenrin.loop.deployed import Deployed
from nenrin.loop.evidence import JUDGED_DAYS, against, gather
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Artefact


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe before a look's fits are made.

    Attributes:
        recipe: its name, or ``anchor``.
        twin: what judges it.
        served: what its refresh would replace: the champion, or what its slot serves; None: an empty slot.
        evidence: the twin against that.
        ok: whether its refresh may go out.
    """

    recipe: str
    twin: Artefact
    served: Artefact | None
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


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a look chose: the version to serve, if any, whether by a canary, and how it came about."""

    ships: str | None
    canary: bool
    told: dict[str, Any]


def standing_of(
    deployed: Deployed, recipe: str, served: Artefact | None, *, switch: bool = False
) -> Standing | None:
    """Judge a recipe by its twin against what serves; None where it has no twin.

    A refresh has the presumption of being better. A ``switch`` to another recipe has not, for what serves
    could stay: it is judged like one on probation.
    """
    state = deployed.state
    twin = deployed.artefact(state.anchor) if recipe == ANCHOR else state.twin(recipe)
    if twin is None:
        return None
    evidence = (
        against(deployed, twin, served, deployed.closed_days(JUDGED_DAYS))
        if served
        else compare(None)
    )
    ok = admits(
        evidence,
        anchor=recipe == ANCHOR,
        probation=switch or recipe in state.probation,
        slack=deployed.cap() / 20,
    )
    return Standing(recipe=recipe, twin=twin, served=served, evidence=evidence, ok=ok)


def verdict_on(
    deployed: Deployed,
    standing: Standing,
    ships: str,
    change: Change,
    flaws: tuple[Flaw, ...],
    at: int,
) -> Verdict:
    """The gate's verdict on shipping the fit ``ships`` of a recipe that stands so."""
    state, served = deployed.state, standing.served
    evidence = gather(
        deployed,
        standing.twin,
        deployed.closed_days(JUDGED_DAYS),
        champion=served,
        change=change,
        probation=standing.recipe in state.probation,
        flaws=flaws,
    )
    against_ = {"champion": served.version} if served else {}
    return judge(
        deployment=deployed.name,
        judged=standing.twin.version,
        ships=ships,
        against={**against_, "anchor": state.anchor, "baseline": "prior"},
        evidence=evidence,
        policy=deployed.policy,
        at=at,
    )
