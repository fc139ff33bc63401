"""What an injected fault cost each policy: the answers that faulty fits gave, against the same fits sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.core.instants import HOUR, iso
from nenrin.loop.backtest import Played
from nenrin.loop.deployed import Deployed
from nenrin.loop.mixture import fits_of
from nenrin.loop.report import Scored
from nenrin.loop.state import Artefact


def bad_week(deployed: Deployed, played: Played, scored: Scored) -> dict[str, Any] | None:
    """The fault's course: when it was first served, whether and when it was rolled back, what it cost.

    Returns:
        None where nothing was injected. ``policies`` has for each policy the rows that a faulty fit answered,
        for how many hours, their mean loss as answered and as the same fits would have answered soundly, and
        what that is a row of the whole window.
    """
    if not deployed.options.injections:
        return None
    rolled_back = _rolled_back(deployed, played)
    first = _first_served(deployed)
    found: dict[str, Any] = {
        "inject": ", ".join(injection.text for injection in deployed.options.injections),
        "struck_nothing": [
            injection.text
            for injection in deployed.options.injections
            if injection.text not in deployed.state.struck
        ],
        "first_served": iso(first) if first else None,
        "rolled_back": iso(rolled_back) if rolled_back else None,
        "served_hours": (rolled_back - first) / HOUR if first and rolled_back else None,
        "policies": {
            answers.name: _harm(deployed, scored, played, answers.name)
            for answers in played.answers
        },
    }
    found["sentences"] = _sentences(found, scored)
    return found


def faulty(artefacts: Mapping[str, Artefact]) -> frozenset[str]:
    """Versions whose answers a fault is in: faulty fits, and mixtures of such."""
    fits = {artefact.version for artefact in artefacts.values() if artefact.fault}
    return frozenset(a.version for a in artefacts.values() if fits & set(fits_of(a)))


def _first_served(deployed: Deployed) -> int | None:
    bad = faulty(deployed.state.artefacts)
    return next(
        (
            segment.start
            for segment in deployed.state.segments
            if any(version in bad for version, _ in segment.variants)
        ),
        None,
    )


def _rolled_back(deployed: Deployed, played: Played) -> int | None:
    bad = faulty(deployed.state.artefacts)
    for step in played.steps:
        for line in step.lines:
            if line.kind == "rollout.rolled_back" and line.subject in bad:
                return step.at
    return None


def _harm(deployed: Deployed, scored: Scored, played: Played, name: str) -> dict[str, Any]:
    """Rows answered with faulty fits, and their loss beside that of the same route without the fault."""
    answers, artefacts = scored.policies[name], played.artefacts[name]
    bad = faulty(artefacts)
    hit = np.array([version in bad for version, _ in answers.versions], dtype=bool)[answers.version]
    labelled = hit & scored.known
    if not labelled.any():
        return {"rows": 0, "hours": 0.0, "loss": None, "undisturbed": None, "cost": 0.0}
    mended = {version: _sound(artefact) for version, artefact in artefacts.items()}
    sound = deployed.counter.answer(played.segments[name], mended, scored.lo, scored.hi).p
    as_answered = scored.row_loss(scored.y[labelled], answers.p[labelled])
    undisturbed = scored.row_loss(scored.y[labelled], sound[labelled])
    asked = deployed.ground.table.asked[scored.lo : scored.hi][hit]
    return {
        "rows": int(np.count_nonzero(hit)),
        "hours": float(asked[-1] - asked[0]) / HOUR,
        "loss": float(np.mean(as_answered)),
        "undisturbed": float(np.mean(undisturbed)),
        "cost": float(np.sum(as_answered - undisturbed)) / int(np.count_nonzero(scored.known)),
    }


def _sound(artefact: Artefact) -> Artefact:
    return msgspec.structs.replace(artefact, fault="")


def _sentences(found: dict[str, Any], scored: Scored) -> list[str]:
    sentences = [
        f"{text} struck no fit of the loop: none was made on that day or later."
        for text in found["struck_nothing"]
    ]
    if found["first_served"] is None:
        sentences.append("No faulty fit was ever served by the loop.")
    elif found["rolled_back"] is None:
        sentences.append("The loop never rolled the faulty fit back.")
    else:
        days = found["served_hours"] / 24
        sentences.append(
            f"The loop rolled the faulty fit back {days:.1f} days after its first request."
        )
    costs = {name: harm["cost"] for name, harm in found["policies"].items() if harm["rows"]}
    others = [name for name in costs if name != "loop"]
    if others:
        worst = max(others, key=lambda name: costs[name])
        sentences.append(
            f"It cost the loop {figure(costs.get('loop', 0.0), plus=True)} a row of the whole window, and "
            f"{scored.policies[worst].title} {figure(costs[worst], plus=True)}."
        )
    return sentences
