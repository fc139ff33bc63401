"""The verbs of serving: deploy, route, promote, roll back, freeze.

Every change is one record and one event, in the caller's unit of work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.core.unit import Unit, Units
from nenrin.features.entities import Lookup
from nenrin.serving.deployments import Deployment
from nenrin.serving.experiment import Experiment, over, refuse_second, routed
from nenrin.serving.masks import LogRules
from nenrin.serving.ports import Deployments
from nenrin.serving.router import Member, Route, Shadow, Variant
from nenrin.serving.signature import RequestSignature

UNSHADOWED = "deployment.unshadowed"


class ServingService:
    """Changes and reads deployments. Changes take effect in the live plane within a second."""

    def __init__(self, units: Units, deployments: Deployments) -> None:
        self._units = units
        self._deployments = deployments

    def deploy(
        self,
        unit: Unit,
        name: str,
        *,
        model: str,
        version: str,
        revision: str,
        request: RequestSignature,
        features: str = "",
        anchor: str = "",
        example: dict[str, Any] | None = None,
        reason: str = "first version",
    ) -> Deployment:
        """Serve ``version`` under a new name, at once and to everybody; ``anchor``, or itself, is the anchor.

        Raises:
            ConflictError: the name is taken; later versions come by :meth:`promote`.
        """
        if self._deployments.get(unit, name) is not None:
            raise ConflictError(
                f"there is a deployment {name!r} in {unit.environment!r} already",
                hint="promote a version to it, or choose another name",
            )
        variants = (Variant(version=version, features=features),)
        deployment = Deployment(
            name=name,
            environment=unit.environment,
            model=model,
            revision=revision,
            route=Route(deployment=name, variants=variants),
            anchor=anchor or version,
            request=request,
            example=example or {},
            at=unit.at,
        )
        return _write(
            self._deployments, unit, deployment, "deployment.created", model=model, reason=reason
        )

    def set_route(self, unit: Unit, name: str, route: Route, *, reason: str) -> Deployment:
        """Deal the requests anew among the champion and its challengers.

        Raises:
            ConflictError: the route's first variant is not the champion: that is a promotion.
        """
        deployment = _known(self._deployments, unit, name)
        if route.champion.version != deployment.champion:
            raise ConflictError(
                f"{route.champion.version} is not the champion of {name!r}",
                hint="promote a version to make it the champion",
            )
        changed = msgspec.structs.replace(deployment, route=route)
        return _write(self._deployments, unit, changed, "deployment.routed", reason=reason)

    def canary(
        self,
        unit: Unit,
        name: str,
        version: str,
        weight: int,
        *,
        reason: str,
        features: str = "",
        request: RequestSignature | None = None,
    ) -> Deployment:
        """Give ``weight`` percent of the keys to one challenger, and the rest to the champion.

        Args:
            unit: the open unit of work.
            name: the deployment.
            version: the challenger.
            weight: percent of the keys.
            reason: why, as the ledger keeps it.
            features: digest of its feature state.
            request: its request signature, where that is another: clients may send its columns too.
        """
        before = _known(self._deployments, unit, name)
        changed = msgspec.structs.replace(
            before,
            route=before.route.canary(version, weight, features),
            request=before.request.widened(request) if request else before.request,
        )
        return _write(self._deployments, unit, changed, "deployment.routed", reason=reason)

    def promote(
        self,
        unit: Unit,
        name: str,
        version: str,
        *,
        reason: str,
        features: str = "",
        anchor: str = "",
        revision: str | None = None,
        request: RequestSignature | None = None,
        example: dict[str, Any] | None = None,
    ) -> Deployment:
        """Make ``version`` the champion and give it everything; what it replaces is kept in mind.

        Args:
            unit: the open unit of work.
            name: the deployment.
            version: the new champion.
            reason: why, as the ledger keeps it.
            features: digest of its feature state; left out, that of the variant it is already.
            anchor: the anchor from now on, where new code was judged better.
            revision: the revision it came from, where that is another.
            request: its request signature, where that is another.
            example: a raw row of plain JSON values, where the request is another.
        """
        before = _known(self._deployments, unit, name)
        if version == before.champion and not before.route.challengers:
            return before
        known = {variant.version: variant.features for variant in before.route.variants}
        replaced = before.route.champion
        changed = msgspec.structs.replace(
            before,
            route=before.route.only(version, features or known.get(version, "")),
            previous=before.previous if version == replaced.version else replaced.version,
            previous_features=(
                before.previous_features if version == replaced.version else replaced.features
            ),
            anchor=anchor or before.anchor,
            revision=revision or before.revision,
            # the columns of before stay readable: whoever is rolled back to needs them
            request=request.widened(before.request) if request else before.request,
            example=example or before.example,
        )
        body = {"replaced": replaced.version, "anchor": changed.anchor}
        return _write(
            self._deployments, unit, changed, "deployment.promoted", reason=reason, **body
        )

    def rollback(
        self, unit: Unit, name: str, *, reason: str, to: str | None = None, features: str = ""
    ) -> Deployment:
        """Serve an earlier version again, at once and to everybody.

        Args:
            unit: the open unit of work.
            name: the deployment.
            reason: why, as the ledger keeps it.
            to: the version to serve; left out, a canary goes back to the champion and a champion to
                the version it replaced.
            features: feature state of ``to`` when this deployment does not remember it.

        Raises:
            ConflictError: nothing was served before.
        """
        before = _known(self._deployments, unit, name)
        to = to or (before.champion if before.route.challengers else before.previous)
        if to is None:
            raise ConflictError(
                f"deployment {name!r} has served nothing before {before.champion}",
                hint="name the version to serve: nenrin deployments promote NAME VERSION",
            )
        left = [variant.version for variant in before.route.variants if variant.version != to]
        changed = msgspec.structs.replace(
            before,
            route=before.route.only(to, features or before.states.get(to, "")),
            previous=before.previous if to == before.champion else None,
            previous_features=before.previous_features if to == before.champion else "",
        )
        return _write(
            self._deployments, unit, changed, "deployment.rolled_back", reason=reason, left=left
        )

    def pause(self, unit: Unit, name: str, *, reason: str) -> Deployment:
        """Keep a rollout at its weight; an empty ``reason`` lets it go on. It ends with the rollout.

        Raises:
            ConflictError: nothing is rolled out.
        """
        before = _known(self._deployments, unit, name)
        if before.paused == reason or (before.paused and reason):
            return before
        if not before.route.challengers:
            raise ConflictError(
                f"{name!r} rolls nothing out: {before.champion} answers everything",
                hint=f"nenrin deployments freeze {name} keeps everything as it is",
                where=name,
            )
        thawed = before.thawed if reason else unit.at  # the next stage begins then, never earlier
        changed = msgspec.structs.replace(before, paused=reason, thawed=thawed)
        kind = "deployment.paused" if reason else "deployment.resumed"
        return _write(self._deployments, unit, changed, kind, reason=reason)

    def declare(
        self, unit: Unit, name: str, request: RequestSignature, fallback: float | str | None
    ) -> Deployment:
        """Follow what the project says, whichever version serves: sticky, unseen and fallback."""
        before = _known(self._deployments, unit, name)
        by = tuple(field for field in request.fields if field.name == request.sticky)
        wider = before.request.widened(msgspec.structs.replace(request, fields=by))
        wider = msgspec.structs.replace(wider, sticky=request.sticky, unseen=request.unseen)
        changed = msgspec.structs.replace(before, request=wider, fallback=fallback)
        if changed == before:
            return before
        body = {"sticky": request.sticky, "unseen": request.unseen, "fallback": fallback}
        return _write(self._deployments, unit, changed, "deployment.declared", **body)

    def set_features(
        self, unit: Unit, name: str, states: dict[str, str], lookup: Lookup | None = None
    ) -> Deployment:
        """Point variants (by version) at newer feature states: new data came.

        With ``lookup``, keys that no row has are answered as it says from now on.
        """
        deployment = _known(self._deployments, unit, name)
        route = deployment.route.each(
            lambda one: msgspec.structs.replace(one, features=states.get(one.version, one.features))
        )
        request = deployment.request
        if lookup is not None and request.lookup is not None:
            said = msgspec.structs.replace(request.lookup, missing=lookup.missing)
            request = msgspec.structs.replace(request, lookup=said)
        changed = msgspec.structs.replace(deployment, route=route, request=request)
        if changed == deployment:
            return deployment
        return _write(self._deployments, unit, changed, "deployment.features_refreshed")

    def set_log(self, unit: Unit, name: str, rules: LogRules) -> None:
        """Log predictions by these rules from now on; nothing happens where that is so, or none is served."""
        before = self._deployments.get(unit, name)
        if before is not None and before.log != rules:
            changed = msgspec.structs.replace(before, log=rules)
            _write(
                self._deployments,
                unit,
                changed,
                "deployment.logged",
                log=msgspec.to_builtins(rules),
            )

    def share(
        self,
        unit: Unit,
        name: str,
        members: Mapping[str, tuple[Member, ...]],
        recalibration: tuple[float, float] | None,
    ) -> Deployment:
        """Let mixtures (by version) answer by these shares, and every answer go through a recalibration."""
        before = _known(self._deployments, unit, name)
        route = before.route.each(
            lambda one: msgspec.structs.replace(
                one, members=members.get(one.version, ()), recalibration=recalibration
            )
        )
        if route == before.route:
            return before
        changed = msgspec.structs.replace(before, route=route)
        body = {
            "members": {version: msgspec.to_builtins(parts) for version, parts in members.items()},
            "recalibration": list(recalibration) if recalibration else None,
        }
        return _write(self._deployments, unit, changed, "deployment.shared", **body)

    def experiment(
        self,
        unit: Unit,
        name: str,
        experiment: Experiment,
        features: Sequence[str],
        request: RequestSignature | None = None,
    ) -> Deployment:
        """Let the versions of an experiment answer by its newest weights, and freeze the rest.

        Args:
            unit: the open unit of work.
            name: the deployment.
            experiment: a new one, or the running one with other weights.
            features: the challengers' feature states.
            request: what the challengers' requests hold, where that is more.
        """
        before = _known(self._deployments, unit, name)
        changed = msgspec.structs.replace(
            before,
            experiment=experiment,
            route=routed(before.route, experiment, features),
            request=before.request.widened(request) if request else before.request,
            frozen=True,
            frozen_since=before.frozen_since or unit.at,
            frozen_why=before.frozen_why or "an experiment runs",
        )
        kind = "experiment.weighed" if len(experiment.stretches) > 1 else "experiment.started"
        body = {"experiment": msgspec.to_builtins(experiment)}
        return _write(self._deployments, unit, changed, kind, **body)

    def shadow(
        self,
        unit: Unit,
        name: str,
        shadow: Shadow | None,
        *,
        reason: str,
        request: RequestSignature | None = None,
    ) -> Deployment:
        """Have a version score what others have answered; None ends that.

        Args:
            unit: the open unit of work.
            name: the deployment.
            shadow: the version, what it reads and what it may cost.
            reason: why, as the ledger keeps it.
            request: its request signature, where that is another: clients may send its columns too.

        Raises:
            ConflictError: the version answers clients.
        """
        before = _known(self._deployments, unit, name)
        if shadow is not None and shadow.version in _answering(before.route):
            raise ConflictError(
                f"{shadow.version} answers requests of {name!r}",
                hint="a shadow is a version beside those: nenrin models list",
                where=name,
            )
        if before.route.shadow == shadow:
            return before
        changed = msgspec.structs.replace(
            before,
            route=msgspec.structs.replace(before.route, shadow=shadow),
            request=before.request.widened(request) if request else before.request,
        )
        if shadow is not None:
            return _write(self._deployments, unit, changed, "deployment.shadowed", reason=reason)
        left = before.route.shadow.version if before.route.shadow else ""
        return _write(self._deployments, unit, changed, UNSHADOWED, version=left, reason=reason)

    def freeze(self, unit: Unit, name: str, *, reason: str) -> Deployment:
        """Stop every automatic change; one that is frozen already stays as it is."""
        before = _known(self._deployments, unit, name)
        if before.frozen:
            return before
        changed = msgspec.structs.replace(
            before, frozen=True, frozen_since=unit.at, frozen_why=reason
        )
        return _write(self._deployments, unit, changed, "deployment.frozen", reason=reason)

    def unfreeze(self, unit: Unit, name: str, *, reason: str) -> Deployment:
        """Allow automatic changes again; one that is not frozen stays as it is."""
        before = _known(self._deployments, unit, name)
        refuse_second(before.experiment, name)
        if not before.frozen:
            return before
        changed = msgspec.structs.replace(
            before, frozen=False, frozen_since=0, frozen_why="", thawed=unit.at
        )
        return _write(self._deployments, unit, changed, "deployment.unfrozen", reason=reason)

    def current(self, unit: Unit, name: str) -> Deployment | None:
        """The deployment as an open unit sees it, None before the first version."""
        return self._deployments.get(unit, name)

    def list(self, environment: str) -> list[Deployment]:
        """Every deployment of an environment, by name."""
        with self._units.read(environment) as unit:
            return self._deployments.all(unit)

    def places_of_states(self, environment: str) -> dict[str, int]:
        """For each feature state that was ever served, the sequence of the event that named it first."""
        places: dict[str, int] = {}
        for each in self.list(environment):
            for event in self._units.find(environment, subject=each.name):
                shadow = event.body.get("shadow")
                for variant in [*event.body.get("route", []), *([shadow] if shadow else [])]:
                    places.setdefault(variant["features"], event.sequence)
        return places

    def show(self, environment: str, name: str) -> Deployment:
        """One deployment.

        Raises:
            NotFoundError: there is none of that name; the hint names those that are.
        """
        with self._units.read(environment) as unit:
            return _known(self._deployments, unit, name)

    def example(self, environment: str, name: str) -> dict[str, Any]:
        """A request that works, in every dialect (see :meth:`RequestSignature.example`)."""
        deployment = self.show(environment, name)
        return deployment.request.example(name, deployment.example)


def feature_states(deployments: Iterable[Deployment]) -> set[str]:
    """Digests of the feature states that routes name."""
    return {v.features for each in deployments for v in each.route.loaded if v.features}


def looks_back(deployments: Iterable[Deployment]) -> int:
    """How long before the time of their row questions are asked at most, microseconds (``at=``)."""
    return max((-each.request.shift for each in deployments), default=0)


def _answering(route: Route) -> list[str]:
    return [variant.version for variant in route.variants]


def _known(deployments: Deployments, unit: Unit, name: str) -> Deployment:
    deployment = deployments.get(unit, name)
    if deployment is None:
        names = ", ".join(known.name for known in deployments.all(unit))
        raise NotFoundError(
            f"there is no deployment {name!r} in {unit.environment!r}",
            hint=f"deployments here: {names}" if names else "run `nenrin run` to make one",
        )
    return deployment


def _write(
    deployments: Deployments, unit: Unit, deployment: Deployment, kind: str, **body: Any
) -> Deployment:
    """Keep the record and tell the ledger who answers from now on."""
    paused = deployment.paused if deployment.route.challengers else ""
    deployment = msgspec.structs.replace(deployment, at=unit.at, paused=paused)
    before = deployments.get(unit, deployment.name)
    if before is not None and before.pair != deployment.pair:
        deployment = msgspec.structs.replace(deployment, epoch=before.epoch + 1)
    ends = over(deployment.experiment, deployment.route)
    if ends:
        deployment = _ended(deployment, unit.at, str(body.get("reason", kind)))
    shadow = deployment.route.shadow
    answers = shadow is not None and shadow.version in _answering(deployment.route)
    if answers:
        route = msgspec.structs.replace(deployment.route, shadow=None)
        deployment = msgspec.structs.replace(deployment, route=route)
    deployments.put(unit, deployment)
    told: dict[str, Any] = {
        "route": [
            {"version": variant.version, "weight": variant.weight, "features": variant.features}
            for variant in deployment.route.variants
        ]
    }
    if shadow is not None and not answers:
        told["shadow"] = {
            "version": shadow.version,
            "budget": shadow.budget,
            "features": shadow.variant.features,
        }
    unit.record(kind, deployment.name, {**told, **body})
    if shadow is not None and answers:
        why = {"version": shadow.version, "reason": "it answers requests now"}
        unit.record(UNSHADOWED, deployment.name, why)
    if ends and deployment.experiment is not None:
        said = deployment.experiment
        stopped = {"versions": list(said.versions), "why": said.why, "serves": deployment.champion}
        unit.record("experiment.stopped", deployment.name, stopped)
    return deployment


def _ended(deployment: Deployment, at: int, why: str) -> Deployment:
    """Its experiment is over, and the loop may act again."""
    experiment = deployment.experiment
    if experiment is None:
        return deployment
    return msgspec.structs.replace(
        deployment,
        experiment=msgspec.structs.replace(experiment, ended=at, why=why),
        frozen=False,
        frozen_since=0,
        frozen_why="",
        thawed=at,
    )
