"""Compiling what serves: noted in the facts of its versions, where the data plane looks for it.

It happens once a version has been routed, never in a backtest, where nothing is served: gates and digests
know the originals alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from nenrin.core.errors import NotFoundError
from nenrin.core.instants import to_us
from nenrin.core.unit import Units
from nenrin.loop.ports import Prepared
from nenrin.registry.forms import models_of
from nenrin.registry.kinds.compiled import outcome_of
from nenrin.registry.kinds.rescoring import breaches
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment

UNCOMPILED = "model.uncompiled"


def compile_served(
    units: Units, registry: RegistryService, prepared: Prepared, deployment: Deployment
) -> None:
    """Compile each model that a deployment serves and that was not tried yet."""
    if prepared.compiles is None:
        return
    environment = deployment.environment
    for variant in deployment.route.loaded:
        for version in models_of(partial(_found, registry, environment), variant.version):
            if outcome_of(version.facts) is not None:
                continue
            cutoff = version.facts.get("cutoff")
            before = to_us(datetime.fromisoformat(cutoff)) if cutoff else None
            outcome = prepared.compiles(version.content, before)
            with units.write(environment, deployment.at) as unit:
                registry.note(unit, version.id, {"compiled": outcome})


def _found(registry: RegistryService, environment: str, version: str) -> Version | None:
    try:
        return registry.get(environment, version)
    except NotFoundError:  # what serves is gone: healing has the word
        return None


def note_breaches(
    units: Units,
    registry: RegistryService,
    environment: str,
    folder: Path,
    instant: Callable[[str], int],
) -> int:
    """Take over what planes wrote of compiled forms that were given up; how many versions it was noted of.

    Each is an event, and its original serves from now on, in later planes too.
    """
    noted = 0
    for path, breach in breaches(folder):
        for version in registry.list(environment):
            outcome = outcome_of(version.facts)
            if outcome is None or not outcome.admitted or outcome.content != breach.form:
                continue
            given_up = msgspec.structs.replace(outcome, admitted=False, why=breach.why)
            with units.write(environment, instant(environment)) as unit:
                registry.note(unit, version.id, {"compiled": msgspec.to_builtins(given_up)})
                unit.record(UNCOMPILED, version.id, {"form": breach.form, "why": breach.why})
            noted += 1
        path.unlink(missing_ok=True)
    return noted
