"""Compiling what serves: noted in the facts of its versions, where the data plane looks for it.

What the loop is about to route is compiled first, and what came of it is written with the step: no plane
sees the route without it. What goes back, or out by a person's word, waits for nothing: it is compiled once
it is routed. In a backtest nothing is served, nor compiled: gates and digests know the originals alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.errors import NotFoundError
from nenrin.core.instants import to_us
from nenrin.core.unit import Units
from nenrin.loop.mixture import fits_of
from nenrin.loop.ports import Compiles, Prepared, Step
from nenrin.loop.state import State
from nenrin.registry.forms import models_of
from nenrin.registry.kinds.compiled import outcome_of
from nenrin.registry.kinds.rescoring import breaches
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment

UNCOMPILED = "model.uncompiled"


def about_to_serve(step: Step, state: State) -> list[str]:
    """The versions that a step routes, and the one that it decided to: it is routed within the hour."""
    routed = [version for version, _ in step.route.variants] if step.route else []
    return [*routed, *([state.pending.version] if state.pending else [])]


def compile_ahead(
    registry: RegistryService,
    environment: str,
    compiles: Compiles | None,
    state: State,
    versions: Iterable[str],
) -> dict[str, dict[str, Any]]:
    """Compile the fits of versions that are about to be routed, where it was not tried yet.

    Returns:
        what came of it by fit, for whoever registers and routes them to note in the same unit of work.
    """
    if compiles is None:
        return {}
    artefacts = state.artefacts
    fits = dict.fromkeys(
        fit for each in versions if each in artefacts for fit in fits_of(artefacts[each])
    )
    found = {fit: _found(registry, environment, fit) for fit in fits}
    return {
        fit: compiles(artefacts[fit].model, artefacts[fit].cutoff)
        for fit, version in found.items()
        if version is None or outcome_of(version.facts) is None
    }


def compile_served(
    units: Units, registry: RegistryService, prepared: Prepared, deployment: Deployment
) -> None:
    """Compile each model that a deployment serves and that was not tried yet, or could not be."""
    if prepared.compiles is None:
        return
    environment = deployment.environment
    for variant in deployment.route.loaded:
        for version in models_of(partial(_found, registry, environment), variant.version):
            tried = outcome_of(version.facts)
            if tried is not None and tried.form:
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
