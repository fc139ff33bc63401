"""Shadows: a version that scores what others have answered; begun and ended by hand, compared.

Nothing that the loop decides reads a shadow: it judges versions on loaded rows (:mod:`nenrin.loop.scores`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.errors import ConflictError, NenrinError
from nenrin.core.instants import iso
from nenrin.loop.beside import beside, reads
from nenrin.loop.exposures import LEAST_DAYS
from nenrin.loop.guarding import Observe
from nenrin.loop.journal import Journals, settle_of
from nenrin.loop.ports import Replay
from nenrin.serving.deployments import Deployment
from nenrin.serving.observed import Shadowed
from nenrin.serving.pairs import compared
from nenrin.serving.router import Shadow, Variant
from nenrin.stats.arms import difference

Pairs = Callable[[Deployment, Shadow], pl.DataFrame]
"""What a shadow and the champion said of the same rows (:func:`nenrin.serving.pairs.pairs`)."""
Losses = Callable[[str, Deployment, pl.DataFrame, int, int], pl.DataFrame]
"""Pairs with the losses of both, by a settle age and an instant."""


class Shadows:
    """Begins, shows and ends shadows.

    Args:
        rooms: where it reads and writes.
        replay: makes versions of other revisions ready.
        observe: what the planes have counted.
        pairs: what was said of the same rows.
        losses: what became of them.
        instant: where an environment's calendar is.
    """

    def __init__(
        self,
        rooms: Journals,
        replay: Replay,
        observe: Observe,
        pairs: Pairs,
        losses: Losses,
        instant: Callable[[str], int],
    ) -> None:
        self._units, self._serving, self._states = rooms.units, rooms.serving, rooms.states
        self._registry = rooms.registry
        self._replay = replay
        self._observe = observe
        self._pairs = pairs
        self._losses = losses
        self._instant = instant

    def begin(
        self, environment: str, name: str, version: str, *, budget: int, reason: str
    ) -> dict[str, Any]:
        """Have a version score what is answered from now on, in place of the shadow that there was.

        Args:
            environment: of the deployment.
            name: the deployment.
            version: who scores.
            budget: percent of a core, in each data plane.
            reason: why, as the ledger keeps it.

        Raises:
            NotFoundError: there is no such deployment or version.
            RequestError: the budget is none.
            RefusedError: the version is bad, a mixture, or of another model.
            ConflictError: it answers requests, or the deployment has changed meanwhile.
        """
        deployment = self._serving.show(environment, name)
        found = beside(self._registry, environment, deployment, version)
        features, request = reads(self._registry, self._replay, environment, deployment, found)
        now = self._instant(environment)
        # what its answers go through is the deployment's, whichever version answers
        recalibration = deployment.route.champion.recalibration
        variant = Variant(version=version, weight=0, features=features, recalibration=recalibration)
        shadow = Shadow(variant=variant, budget=budget, since=now)
        with self._units.write(environment, now) as unit:
            current = self._serving.current(unit, name)
            if current is None or current.route != deployment.route:
                raise ConflictError(
                    f"{name!r} has changed meanwhile: nothing is begun",
                    hint="look at nenrin status, and begin it again",
                    where=name,
                )
            self._serving.shadow(unit, name, shadow, reason=reason, request=request)
        return {"deployment": name, "shadow": version, "budget": budget, "since": iso(now)}

    def end(self, environment: str, name: str, reason: str) -> dict[str, Any]:
        """Have nothing scored any more.

        Raises:
            NotFoundError: there is no such deployment.
            ConflictError: it has no shadow.
        """
        left = _shadow(self._serving.show(environment, name)).version
        with self._units.write(environment, self._instant(environment)) as unit:
            self._serving.shadow(unit, name, None, reason=reason)
        return {"deployment": name, "shadow": None, "left": left}

    def leave_bad(self, environment: str) -> list[str]:
        """End every shadow that is marked bad; a sentence for each. A freeze holds that."""
        done = []
        for deployment in self._serving.list(environment):
            shadow, name = deployment.route.shadow, deployment.name
            if shadow is None or deployment.frozen:
                continue
            if self._registry.get(environment, shadow.version).status != "bad":
                continue
            with self._units.write(environment, self._instant(environment)) as unit:
                current = self._serving.current(unit, name)
                if current is None or current.route.shadow != shadow:
                    continue
                self._serving.shadow(unit, name, None, reason="it is marked bad")
            done.append(f"{shadow.version} is the shadow of {name!r} no more: it is marked bad")
        return done

    def counted(self, environment: str, name: str) -> dict[str, Any] | None:
        """What the planes have counted of a deployment's shadow; None without one.

        Raises:
            NotFoundError: there is no such deployment.
        """
        shadow = self._serving.show(environment, name).route.shadow
        return None if shadow is None else self._counted(environment, name, shadow)

    def compared(self, environment: str, name: str) -> dict[str, Any] | None:
        """The same, with how its answers differ from the champion's.

        Raises:
            NotFoundError: there is no such deployment.
        """
        deployment = self._serving.show(environment, name)
        shadow = deployment.route.shadow
        if shadow is None:
            return None
        counted = self._counted(environment, name, shadow)
        rows = self._pairs(deployment, shadow)
        return counted | {"against": deployment.champion, "answers": dict(compared(rows))}

    def show(self, environment: str, name: str) -> dict[str, Any]:
        """Everything: counts, how answers differ, and who lost less by the labels that have come.

        Raises:
            NotFoundError: there is no such deployment.
            ConflictError: it has no shadow.
        """
        deployment = self._serving.show(environment, name)
        shadow = _shadow(deployment)
        rows = self._pairs(deployment, shadow)
        return {
            "deployment": name,
            **self._counted(environment, name, shadow),
            "against": deployment.champion,
            "answers": dict(compared(rows)),
            "labels": self._labels(environment, deployment, rows),
        }

    def _counted(self, environment: str, name: str, shadow: Shadow) -> dict[str, Any]:
        none = Shadowed(deployment=name, version=shadow.version)
        of = (shadow.version, shadow.since)
        found = self._observe(environment, name).shadows
        counts = next((each for each in found if (each.version, each.since) == of), none)
        return {
            "version": shadow.version,
            "budget": shadow.budget,
            "since": iso(shadow.since),
            "offered": counts.offered,
            "scored": counts.scored,
            "failed": counts.failed,
            "dropped": counts.dropped,
            "scored_of_offered": counts.scored / counts.offered if counts.offered else None,
            "ms_a_row": _ms(counts.seconds / counts.scored) if counts.scored else None,
            "ms_for_one_row": _ms(counts.one) if counts.one else None,
            "newest_error": counts.error or None,
        }

    def _labels(
        self, environment: str, deployment: Deployment, rows: pl.DataFrame
    ) -> dict[str, Any]:
        """Mean losses by the labels of closed days, and their difference by days; or why there is none."""
        if rows.is_empty():
            return {"outcomes": 0, "says": "nothing is scored yet"}
        if any(column in deployment.log.row for column in deployment.request.key):
            return {"outcomes": 0, "says": "the key is personal: what is logged joins no label"}
        with self._units.read(environment) as unit:
            settle = settle_of(self._states, unit, deployment.name)
        try:
            losses = self._losses(environment, deployment, rows, settle, self._instant(environment))
        except NenrinError as error:  # of a kind without labels there is nothing to prepare
            return {"outcomes": 0, "says": f"labels cannot be read: {error.message}"}
        known = losses.filter(
            pl.col("closed") & pl.col("loss").is_finite() & pl.col("shadow_loss").is_finite()
        )
        return _told(known)


def _told(known: pl.DataFrame) -> dict[str, Any]:
    """The same rows of both are two arms of equal keys: what a day or a key does to both cancels."""
    rows = known.height
    if not rows:
        return {"outcomes": 0, "says": f"not yet: 0 of {LEAST_DAYS} closed days with labels"}
    theirs, mine = (known[name].to_numpy().astype(np.float64) for name in ("loss", "shadow_loss"))
    day = known["day"].to_physical().to_numpy().astype(np.int64)
    _, key = np.unique(known["key"].to_numpy(), return_inverse=True)
    found = difference(
        np.concatenate([theirs, mine]), np.repeat([0, 1], rows), np.tile(day, 2), np.tile(key, 2)
    )
    told: dict[str, Any] = {
        "outcomes": rows,
        "days": found.days,
        "loss": float(theirs.mean()),
        "shadow_loss": float(mine.mean()),
    }
    if found.days < LEAST_DAYS:
        says = f"not yet: {found.days} of {LEAST_DAYS} closed days with labels"
        return {**told, "says": says}
    says = "no difference found"
    if found.high < 0 or found.low > 0:
        says = "better" if found.high < 0 else "worse"
    bounds = {"low": found.low, "high": found.high}
    return {
        **told,
        "difference": found.estimate,
        **{name: each if math.isfinite(each) else None for name, each in bounds.items()},
        "says": says,
    }


def _shadow(deployment: Deployment) -> Shadow:
    if deployment.route.shadow is None:
        raise ConflictError(
            f"{deployment.name!r} has no shadow",
            hint=f"nenrin deployments shadow {deployment.name} VERSION",
            where=deployment.name,
        )
    return deployment.route.shadow


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 4)
