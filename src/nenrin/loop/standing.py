"""What the gate says of one recipe's refresh: judged by its twin, on the closed days since its fit."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from nenrin.gates.evidence import Change, Evidence
from nenrin.gates.judge import judge
from nenrin.gates.sanity import Flaw
from nenrin.gates.verdict import Verdict
from nenrin.loop.deployed import Deployed
from nenrin.loop.evidence import JUDGED_DAYS, gather
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Artefact


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe before a look's fits are made.

    Attributes:
        recipe: its name, or ``anchor``.
        twin: what judges it.
        served: what its refresh would replace: the champion, or what its slot serves; None: an empty slot.
        evidence: all that the gate may ask of the twin.
        ok: whether the gate lets its refresh go out, if the fit is sound.
    """

    recipe: str
    twin: Artefact
    served: Artefact | None
    evidence: Evidence
    ok: bool

    def as_dict(self) -> dict[str, Any]:
        """As a look's event keeps it."""
        found = self.evidence.champion
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
    deployed: Deployed, recipe: str, served: Artefact | None, change: Change
) -> Standing | None:
    """Judge a recipe by its twin against what serves; None where it has no twin."""
    state = deployed.state
    twin = deployed.artefact(state.anchor) if recipe == ANCHOR else state.twin(recipe)
    if twin is None:
        return None
    evidence = gather(
        deployed,
        twin,
        deployed.closed_days(JUDGED_DAYS),
        champion=served,
        change=change,
        probation=recipe in state.probation,
    )
    ok = all(check.admits for check in deployed.policy.check(evidence.numbers()))
    return Standing(recipe=recipe, twin=twin, served=served, evidence=evidence, ok=ok)


def verdict_on(
    deployed: Deployed, standing: Standing, ships: str, flaws: tuple[Flaw, ...], at: int
) -> Verdict:
    """The gate's verdict on shipping the fit ``ships`` of a recipe that stands so."""
    against = {"champion": standing.served.version} if standing.served else {}
    return judge(
        deployment=deployed.name,
        judged=standing.twin.version,
        ships=ships,
        against={**against, "anchor": deployed.state.anchor, "baseline": "prior"},
        evidence=msgspec.structs.replace(standing.evidence, flaws=flaws),
        policy=deployed.policy,
        at=at,
    )
