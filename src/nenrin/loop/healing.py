"""Healing what is served: versions and feature states whose content is gone or damaged.

Two of the four healing actions: a deployment is routed to the last good version where the one that it serves
cannot be read, and the feature state that answers its requests is rebuilt from the loaded data. The others,
a worker that is started again and a job that is run again, belong to whoever starts workers and jobs. Each
is an event, ``healed.…``, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nenrin.core.errors import IntegrityError, NenrinError, NotFoundError, UnavailableError
from nenrin.core.store import ContentStore, whole
from nenrin.core.unit import Units
from nenrin.loop.journal import LoopStates, keep, read, share
from nenrin.loop.marking import Marking
from nenrin.loop.ports import Replay
from nenrin.loop.promoting import leave
from nenrin.registry.service import RegistryService
from nenrin.serving.deployments import Deployment
from nenrin.serving.router import Variant
from nenrin.serving.service import ServingService


class Healing:
    """Heals the deployments of live environments.

    Args:
        units, store, registry, serving, states, replay: what it reads and writes.
        instant: where an environment's calendar is.
        marking: takes lost members out of mixtures.
    """

    def __init__(
        self,
        *,
        units: Units,
        store: ContentStore,
        registry: RegistryService,
        serving: ServingService,
        states: LoopStates,
        replay: Replay,
        instant: Callable[[str], int],
        marking: Marking,
    ) -> None:
        self._units = units
        self._store = store
        self._registry = registry
        self._serving = serving
        self._states = states
        self._replay = replay
        self._instant = instant
        self._marking = marking

    def heal(self, environment: str) -> list[str]:
        """Look at everything that is served, and mend what can be mended; a sentence for each of it.

        A store that is away says nothing of what is in it: then nothing is mended, and nothing marked bad.
        """
        said: list[str] = []
        try:
            for deployment in self._serving.list(environment):
                said += self._left(environment, deployment)
                said += self._rerouted(
                    environment, self._serving.show(environment, deployment.name)
                )
                said += self._rebuilt(environment, deployment.name)
        except UnavailableError as error:
            said.append(f"not all that is served was looked at: {error.message}")
        return said

    def restarted(self, environment: str, worker: str, why: str) -> None:
        """Record that a worker died and was started again."""
        with self._units.write(environment, self._instant(environment)) as unit:
            unit.record("healed.restarted", worker, {"why": why})

    def _left(self, environment: str, deployment: Deployment) -> Iterator[str]:
        """Members of mixtures that cannot be read leave; the last one has to stay."""
        for variant in deployment.route.variants:
            members = dict.fromkeys(part.version for part in variant.members)
            lost = [each for each in members if not self._readable(environment, each)]
            if deployment.frozen or len(lost) == len(members):
                continue
            for version in lost:
                why = f"the content of {version} cannot be read"
                self._marking.mark_bad(environment, version, why)
                body = {"from": version, "to": variant.version, "why": why}
                with self._units.write(environment, self._instant(environment)) as unit:
                    unit.record("healed.rerouted", deployment.name, body)
                yield f"{version} left the mixture that {deployment.name} serves: {why}"

    def _rerouted(self, environment: str, deployment: Deployment) -> Iterator[str]:
        name = deployment.name
        lost = next(
            (v.version for v in deployment.route.variants if self._lost(environment, v)), None
        )
        if lost is None:
            return
        good = next(self._good(environment, deployment, lost), None)
        if deployment.frozen or good is None:
            why = "it is frozen" if deployment.frozen else "nothing it served before can be read"
            yield (
                f"{name} serves {lost}, whose content cannot be read, and goes on with it because {why}: "
                f"nenrin deployments promote {name} VERSION, or restore a backup"
            )
            return
        version, features = good
        why = f"the content of {lost} cannot be read"
        with self._units.write(environment, self._instant(environment)) as unit:
            self._serving.rollback(unit, name, reason=why, to=version, features=features)
            self._registry.mark_bad(unit, lost, why)
            state = read(self._states, unit, name)
            if state is not None:
                for fit in leave(state, lost, version, unit.at):
                    self._registry.mark_bad(unit, fit, why)
                share(self._serving, unit, name, state.segments[-1])
                keep(self._states, unit, name, state)
            unit.record("healed.rerouted", name, {"from": lost, "to": version, "why": why})
        yield f"{name} was routed to {version}: {why}"

    def _rebuilt(self, environment: str, name: str) -> Iterator[str]:
        deployment = self._serving.show(environment, name)
        for variant in deployment.route.loaded:
            if not variant.features or whole(self._store, variant.features):
                continue
            revision = self._registry.get(environment, variant.version).revision
            try:
                found = self._replay.by_revision(environment, revision, name).served.answering()
            except NenrinError as error:
                yield f"the feature state of {name} cannot be read, nor rebuilt: {error.message}"
                continue
            body = {"version": variant.version, "was": variant.features, "is": found}
            with self._units.write(environment, self._instant(environment)) as unit:
                self._serving.set_features(unit, name, {variant.version: found})
                unit.record("healed.rebuilt", name, body)
            yield f"the feature state of {name} could not be read, and was rebuilt from its data"

    def _good(
        self, environment: str, deployment: Deployment, lost: str
    ) -> Iterator[tuple[str, str]]:
        """Versions that can be read and are not bad, and their feature states, the last served first."""
        served: dict[str, str] = {v.version: v.features for v in deployment.route.variants}
        for event in reversed(self._units.find(environment, subject=deployment.name)):
            for variant in event.body.get("route", [])[:1]:
                served.setdefault(variant["version"], variant["features"])
        for version, features in served.items():
            if version == lost or self._registry.get(environment, version).status == "bad":
                continue
            if self._readable(environment, version):
                yield version, features

    def _lost(self, environment: str, variant: Variant) -> bool:
        """Whether a variant cannot answer: its content is gone, or a mixture's every member's."""
        members = [self._readable(environment, part.version) for part in variant.members]
        return not self._readable(environment, variant.version) or (
            bool(members) and not all(members)
        )

    def _readable(self, environment: str, version: str) -> bool:
        try:
            self._store.verify(self._registry.get(environment, version).content)
        except (IntegrityError, NotFoundError):
            return False
        return True
