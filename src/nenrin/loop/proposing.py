"""Propose a registered version of any kind to a deployment: scored, gated, served or refused.

A version of a kind that the loop does not train (a prompt, a kind of one's own) goes through the same gate,
router and roll-back as a model: it is opened, it answers a small labelled set beside champion and anchor, and
the verdict decides. Only the kind's own code knows what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nenrin.core.calendar import Calendar
from nenrin.core.errors import ConflictError, RefusedError, RequestError
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit, Units
from nenrin.gates.comparison import Comparison, compare
from nenrin.gates.evidence import Evidence, read_policy
from nenrin.gates.judge import judge
from nenrin.gates.policy import Policy
from nenrin.gates.sanity import Flaw
from nenrin.gates.service import GatesService
from nenrin.gates.verdict import Verdict
from nenrin.loop.exam import Exam, Losses
from nenrin.loop.holding import by_hand, refuse_frozen, stays_frozen
from nenrin.registry.kinds import OpenContext
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService

Projects = Callable[[str, str], Mapping[str, Any]]
"""The attributes of the project module of an environment's revision."""


class Proposing:
    """Brings versions of any kind into deployments.

    Args:
        projects: the project that each version was made by, for kinds that need a callable of it.
        others: the rooms' services.
    """

    def __init__(
        self,
        *,
        units: Units,
        store: ContentStore,
        registry: RegistryService,
        gates: GatesService,
        serving: ServingService,
        calendar: Calendar,
        projects: Projects,
    ) -> None:
        self._units = units
        self._store = store
        self._registry = registry
        self._gates = gates
        self._serving = serving
        self._calendar = calendar
        self._projects = projects

    def propose(
        self,
        environment: str,
        deployment: str,
        version: str,
        exam: Exam,
        *,
        weight: int = 100,
        project: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> Verdict:
        """Judge a version beside the champion on the same rows, and serve it if the gate admits it.

        The first version of a deployment must not be worse than the baseline; a later one must be better
        than the champion, with rows as units: they are taken to be independent.

        Args:
            environment: where the deployment is.
            deployment: its name; made by the first admitted version.
            version: id of a registered version.
            exam: rows, labels and loss.
            weight: percent of the keys that it answers; below 100 it is a canary beside the champion, until
                it is promoted or rolled back. The first version answers all.
            project: callables by name, for versions that no project revision made.
            policy: the gate's rules; the default policy if left out.

        Raises:
            RefusedError: it is marked bad, or the gate refused it; the verdict is kept. Or the deployment is
                frozen.
            ConflictError: it is the champion.
            DataError: rows, labels and losses do not fit.
            RequestError: ``weight`` is no percentage.
        """
        exam.check()
        if not 1 <= weight <= 100:
            raise RequestError(
                f"weight={weight} is no percentage", hint="give a whole number from 1 to 100"
            )
        proposed = self._servable(environment, version)
        serving = self._current(environment, deployment)
        refuse_frozen(serving)
        if serving is not None and serving.champion == version:
            raise ConflictError(
                f"{deployment!r} serves {version} already", hint="nothing is to be done"
            )
        losses = Losses(exam, lambda other: self._answers(other, exam, project or {}))
        verdict = self._judged(deployment, serving, proposed, losses, policy or read_policy())
        with self._units.write(environment, verdict.at) as unit:
            self._gates.keep(unit, verdict)
            if verdict.admitted:
                self._unmoved(unit, deployment, serving)
                self._serve(unit, deployment, proposed, exam, weight)
        if not verdict.admitted:
            raise RefusedError(
                verdict.reason, hint="the champion stays; improve the version, or the labelled set"
            )
        return verdict

    def promote(
        self, environment: str, deployment: str, version: str, reason: str
    ) -> dict[str, Any]:
        """Give everything to a version that the gate has admitted: a canary, or one that served before.

        Raises:
            RefusedError: it is marked bad, or the gate has never admitted it.
        """
        proposed = self._servable(environment, version)
        admitted = [
            verdict
            for verdict in self._gates.verdicts(environment, deployment)
            if verdict.ships == version and verdict.admitted
        ]
        if not admitted:
            raise RefusedError(
                f"the gate has never admitted {version} to {deployment!r}",
                hint="propose it on a labelled set first",
                where=version,
            )
        with self._units.write(environment, self._calendar.now()) as unit:
            before = self._serving.current(unit, deployment)
            trying = before.route.challengers if before else ()
            canary = any(variant.version == proposed.id for variant in trying)
            done = self._serving.promote(
                unit,
                deployment,
                version,
                reason=by_hand("promoted", reason),
                anchor=version if canary else "",
            )
        return {
            "deployment": deployment,
            "champion": done.champion,
            "reason": admitted[-1].reason,
            **stays_frozen(done),
        }

    def _servable(self, environment: str, version: str) -> Version:
        found = self._registry.get(environment, version)
        if found.status == "bad":
            raise RefusedError(
                f"{version} is marked bad", hint="nenrin why tells why; choose another version"
            )
        return found

    def _judged(
        self,
        deployment: str,
        serving: Deployment | None,
        proposed: Version,
        losses: Losses,
        policy: Policy,
    ) -> Verdict:
        """What the gate says of the proposed version's losses."""
        against: dict[str, str] = {}
        found: dict[str, Comparison] = {}
        mine = losses.of(proposed)
        if serving is not None:
            for part, id_ in (("champion", serving.champion), ("anchor", serving.anchor)):
                other = self._registry.get(serving.environment, id_)
                found[part] = compare(mine - losses.of(other), unit="row")
                against[part] = other.id
        plain = losses.of_baseline()
        if plain is not None:
            found["baseline"] = compare(mine - plain, unit="row")
            against["baseline"] = "plain answer"
        return judge(
            deployment=deployment,
            judged=proposed.id,
            ships=proposed.id,
            against=against,
            evidence=Evidence(
                change="code" if serving else "first",
                champion=found.get("champion", compare(None)),
                anchor=found.get("anchor", compare(None)),
                baseline=found.get("baseline", compare(None)),
                rows=len(mine),
                flaws=_flaws(mine),
            ),
            policy=policy,
            at=self._calendar.now(),
        )

    def _answers(self, version: Version, exam: Exam, project: Mapping[str, Any]) -> list[Any]:
        """What a version answers to the exam's questions, with the project that it was made by."""
        if version.revision:
            project = self._projects(version.environment, version.revision)
        context = OpenContext(store=self._store, project=project)
        return list(self._registry.open(version, context).answer(exam.rows))

    def _unmoved(self, unit: Unit, deployment: str, serving: Deployment | None) -> None:
        """Refuse to act on a verdict about a champion that has been replaced meanwhile."""
        now = self._serving.current(unit, deployment)
        refuse_frozen(now)
        judged, found = (each.champion if each else None for each in (serving, now))
        if judged != found:
            raise ConflictError(
                f"{deployment!r} has got another champion while the version was judged",
                hint="propose it again",
            )

    def _serve(
        self, unit: Unit, deployment: str, version: Version, exam: Exam, weight: int
    ) -> None:
        """Deploy the first version; a later one is a canary, or the champion and new anchor."""
        reason = "proposed, and admitted by the gate"
        request, example = exam.request(), exam.rows.row(0, named=True)
        if self._serving.current(unit, deployment) is None:
            self._serving.deploy(
                unit,
                deployment,
                model=version.name,
                version=version.id,
                revision=version.revision,
                request=request,
                example=example,
                reason=reason,
            )
        elif weight < 100:
            self._serving.canary(
                unit, deployment, version.id, weight, reason=reason, request=request
            )
        else:
            self._serving.promote(
                unit,
                deployment,
                version.id,
                reason=reason,
                anchor=version.id,
                revision=version.revision,
                request=request,
                example=example,
            )

    def _current(self, environment: str, deployment: str) -> Deployment | None:
        with self._units.read(environment) as unit:
            return self._serving.current(unit, deployment)


def _flaws(losses: np.ndarray) -> tuple[Flaw, ...]:
    broken = int(np.count_nonzero(~np.isfinite(losses)))
    if not broken:
        return ()
    return (Flaw(kind="nan", text=f"{broken:,} of {len(losses):,} answers have no finite loss"),)
