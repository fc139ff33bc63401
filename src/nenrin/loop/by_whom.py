"""Who answers, by which code; who paused a rollout, what was rolled back and which code was refused last, as
the ledger has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nenrin.core.actor import ACTOR
from nenrin.core.instants import iso
from nenrin.core.unit import Units
from nenrin.registry.service import RegistryService
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService

NEW_CODE = ("code", "new code")
"""What looks at other code say that they were taken for, of rows without a time and with one."""


def paused_by(units: Units, environment: str, deployment: Deployment) -> str | None:
    """Who paused its rollout; None where it goes on, or nobody is named."""
    if not deployment.paused:
        return None
    found = _newest(units, environment, "deployment.paused", deployment.name)
    return found["by"] if found else None


def rolled_back(units: Units, environment: str, deployment: str) -> dict[str, Any] | None:
    """The newest roll-back: what was left and why, by whom, and the numbers that it was decided by."""
    found = _newest(units, environment, "deployment.rolled_back", deployment)
    if found is None:
        return None
    left = found["body"]["left"]
    told = [_newest(units, environment, "rollout.rolled_back", version) for version in left]
    body: dict[str, Any] = next((each["body"] for each in told if each), {})
    return {
        "at": found["at"],
        "left": left,
        "to": found["body"]["route"][0]["version"],
        "reason": found["body"]["reason"],
        "by": found["by"],
        "safety": body.get("safety"),
    }


def routed(
    serving: ServingService, registry: RegistryService, environment: str, deployment: str
) -> list[dict[str, Any]]:
    """Who answers a deployment's requests, with how many percent, and the code that it is of."""
    found = [each for each in serving.list(environment) if each.name == deployment]
    return [
        {
            "version": each.version,
            "weight": each.weight,
            "revision": registry.get(environment, each.version).revision,
        }
        for one in found
        for each in one.route.variants
    ]


def refused_code(units: Units, environment: str, deployment: str) -> dict[str, Any] | None:
    """When the gates refused other code of a deployment last, and why."""
    looks = units.find(environment, kind="look.taken", subject=deployment)
    for look in reversed(looks):
        if look.body.get("trigger") in NEW_CODE and not look.body.get("ships"):
            given = _newest(units, environment, "verdict.given", look.body["verdicts"][-1])
            return {"at": iso(look.at), "reason": given["body"]["reason"] if given else ""}
    return None


def _newest(units: Units, environment: str, kind: str, subject: str) -> Mapping[str, Any] | None:
    found = units.find(environment, kind=kind, subject=subject, limit=1)
    return next(
        ({"at": iso(e.at), "by": e.body.get(ACTOR) or None, "body": e.body} for e in found), None
    )
