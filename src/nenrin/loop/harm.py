"""What an injected fault cost each policy: the answers that faulty fits gave, against the same fits sound."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from nenrin.core.figures import figure
from nenrin.core.instants import HOUR, iso
from nenrin.loop.backtest import Played
from nenrin.loop.deployed import Deployed
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


def _first_served(deployed: Deployed) -> int | None:
    faulty = {a.version for a in deployed.state.artefacts.values() if a.fault}
    return next(
        (
            segment.start
            for segment in deployed.state.segments
            if any(version in faulty for version, _ in segment.variants)
        ),
        None,
    )


def _rolled_back(deployed: Deployed, played: Played) -> int | None:
    faulty = {a.version for a in deployed.state.artefacts.values() if a.fault}
    for step in played.steps:
        for line in step.lines:
            if line.kind == "rollout.rolled_back" and line.subject in faulty:
                return step.at
    return None


def _harm(deployed: Deployed, scored: Scored, played: Played, name: str) -> dict[str, Any]:
    """Rows answered by faulty fits, and their loss beside that of the same fits without the fault."""
    answers = scored.policies[name]
    artefacts = played.artefacts[name]
    p, sound = answers.p, answers.p.copy()
    faulty = np.zeros(len(p), dtype=bool)
    for index, (version, _) in enumerate(answers.versions):
        artefact = artefacts[version]
        rows = np.flatnonzero(answers.version == index)
        if artefact.fault and len(rows):
            lo, hi = int(rows[0]), int(rows[-1]) + 1
            raw = deployed.scores.of(_sound(artefact), scored.lo + lo, scored.lo + hi)
            sound[rows] = raw[rows - lo]
            faulty[rows] = True
    hit = faulty & scored.known
    if not hit.any():
        return {"rows": 0, "hours": 0.0, "loss": None, "undisturbed": None, "cost": 0.0}
    bad = scored.row_loss(scored.y[hit], p[hit])
    good = scored.row_loss(scored.y[hit], sound[hit])
    asked = deployed.ground.table.asked[scored.lo : scored.hi][faulty]
    return {
        "rows": int(np.count_nonzero(faulty)),
        "hours": float(asked[-1] - asked[0]) / HOUR,
        "loss": float(np.mean(bad)),
        "undisturbed": float(np.mean(good)),
        "cost": float(np.sum(bad - good)) / int(np.count_nonzero(scored.known)),
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
