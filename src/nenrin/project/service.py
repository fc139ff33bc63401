"""The project's verbs: plan, run, apply, why."""

from __future__ import annotations

from typing import Any

import msgspec

from nenrin.core import environment as environments
from nenrin.core.errors import NotFoundError, ProjectError
from nenrin.core.instants import iso
from nenrin.core.store import ContentStore
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.gates.service import GatesService
from nenrin.loop.ports import Progress
from nenrin.loop.rings import brief
from nenrin.loop.service import LoopService
from nenrin.project.came_of import about, plain_verdict
from nenrin.project.changes import changes
from nenrin.project.lineage import PREFIX, Lineage
from nenrin.project.loader import Project, one_reading
from nenrin.project.replay import ProjectReplay
from nenrin.project.revision import Revision
from nenrin.registry.service import RegistryService
from nenrin.serving.prediction import Prediction

_DIGEST = 64  # characters of a digest, of which people are shown the first


class ProjectService:
    """What people do with a project's folder.

    Args:
        replay: the folder, its revisions and its graph.
        loop: decides what a run brings.
        registry, gates, data, units, store: where answers to *why* are found, and what a run found.
        lineage: walks from predictions to data and back.
    """

    def __init__(
        self,
        replay: ProjectReplay,
        loop: LoopService,
        *,
        registry: RegistryService,
        gates: GatesService,
        data: DataService,
        units: Units,
        store: ContentStore,
        lineage: Lineage,
    ) -> None:
        self._replay = replay
        self._loop = loop
        self._registry = registry
        self._gates = gates
        self._data = data
        self._units = units
        self._store = store
        self._lineage = lineage

    def load(self) -> Project:
        """The declarations of the working folder.

        Raises:
            ProjectError: the project file is wrong; says where.
        """
        return self._replay.load()

    def snapshot(self, environment: str) -> Revision:
        """Keep the working folder as a revision and make it the environment's active one."""
        return self._replay.snapshot(environment, self.load())

    def follows(self, environment: str) -> Revision | None:
        """The revision that an environment goes by: of the default one the folder as it is now."""
        if environment == environments.DEFAULT:
            return self.snapshot(environment)
        return self._replay.active(environment)

    def plan(self, environment: str) -> dict[str, Any]:
        """The graph of every deployment, what a run would do with each node, and what it changes."""
        with one_reading():
            champions = self._champions(environment, self.load())
            planned = self._replay.plan(environment, champions)
            return {**planned, "changes": self.changes(environment)}

    def run(self, environment: str, progress: Progress | None = None) -> dict[str, Any]:
        """Load, check, profile, build the rows, and let the loop train, judge and deploy.

        Returns:
            ``revision``; what came of each deployment; how what each of the own ``steps`` returned prints,
            and which of them ``ran``, and ``why``.

        Raises:
            NenrinError: something of the user's is wrong, and what to do.
        """
        project = self.load()
        if not project.deployments and not project.steps:
            project.deployment()
        revision = self._replay.snapshot(environment, project)
        turned = [self._loop.turn(environment, name, progress) for name in project.deployments]
        own: dict[str, Any] = {"shown": {}, "ran": [], "why": {}, "notes": []}
        if project.steps:
            own = self._replay.own_steps(
                environment, project, revision, self._champions(environment, project), progress
            )
        return {
            "revision": revision.id,
            "deployments": turned,
            "steps": own["shown"],
            "ran": own["ran"],
            "why": own["why"],
            "notes": own["notes"],
        }

    def _champions(self, environment: str, project: Project) -> dict[str, str]:
        """The content of what serves, by model."""
        served = {d["name"]: d["champion"] for d in self._loop.status(environment)["deployments"]}
        return {
            deployment.model.declared.name: self._registry.get(environment, served[name]).content
            for name, deployment in project.deployments.items()
            if served.get(name)
        }

    def apply(self, environment: str, progress: Progress | None = None) -> dict[str, Any]:
        """Make the folder's revision the one that an environment follows, and run it there.

        Returns:
            as :meth:`run`, and ``changes``: what the revision adds, changes and removes.
        """
        changed = self.changes(environment)
        done = self.run(environment, progress)
        return {"environment": environment, "changes": changed, **done}

    def changes(self, environment: str) -> list[str]:
        """What making the folder's revision an environment's would change there."""
        project, before, after = self.load(), self._replay.active(environment), self._replay.taken()
        if before is None:
            return [*changes(None, project), f"activates revision {after.id}, the first"]
        if before.id == after.id:
            return [f"nothing changes: {environment} follows revision {after.id} already"]
        return [
            *changes(self._replay.unpacked(before), project),
            f"revision {after.id} follows {before.id}",
        ]

    def last_run(self, environment: str) -> dict[str, Any]:
        """What the newest run found of each deployment: evaluation, verdict, columns, data versions.

        Raises:
            NotFoundError: nothing was evaluated there yet.
        """
        newest = {
            event.subject: event.body["result"]
            for event in self._units.events(environment)
            if event.kind == "run.finished"
        }
        if not newest:
            raise NotFoundError(
                f"no run has evaluated anything in {environment!r} yet", hint="nenrin run"
            )
        found = [msgspec.json.decode(self._store.get(digest)) for digest in newest.values()]
        known = {version.id: version for version in self._data.versions(environment)}
        for each in found:
            each["datasets"] = [
                msgspec.to_builtins(known[version])
                for version in each["data"].values()
                if version in known
            ]
        return {"environment": environment, "deployments": found}

    def logged(self, environment: str, prediction: str) -> Prediction:
        """A logged prediction, as it is kept."""
        return self._lineage.logged(environment, prediction)

    def why(self, environment: str, what: str) -> dict[str, Any]:
        """What stands behind a prediction, a version, a load, a verdict, a deployment or a step.

        Raises:
            NotFoundError: nothing here has that name, or the log no such prediction.
        """
        if what.startswith(PREFIX):
            return self._lineage.prediction(environment, what)
        for environment_ in dict.fromkeys((environment, *self._units.environments())):
            for told in (self._lineage.version, self._lineage.load, self._verdict, self._served):
                found = told(environment_, what)
                if found is not None:
                    return found
        return self._step(environment, what)

    def _verdict(self, environment: str, what: str) -> dict[str, Any] | None:
        try:
            return plain_verdict(environment, self._gates.verdict(environment, what))
        except NotFoundError:
            return None

    def _served(self, environment: str, what: str) -> dict[str, Any] | None:
        """A deployment: who serves, and how that came about."""
        lines = {line["name"]: line for line in self._loop.status(environment)["deployments"]}
        if what not in lines:
            return None
        rings = self._loop.rings(environment, what)
        return {
            "what": "deployment",
            "environment": environment,
            **lines[what],
            "last ring": brief(rings[-1]) if rings else None,
            "events": about(list(self._units.events(environment)), what)[-10:],
        }

    def _step(self, environment: str, what: str) -> dict[str, Any]:
        """A step of the graph: whether it would run, and why."""
        try:
            planned = self.plan(environment)
        except ProjectError:
            planned = {"deployments": [], "steps": []}
        for graph in [*planned["deployments"], {"name": "", "nodes": planned["steps"]}]:
            for node in graph["nodes"]:
                if node["name"] == what:
                    last = self._ran(environment, what)
                    waits = {
                        other["name"]: other["why"]
                        for other in graph["nodes"]
                        if other["name"] in node["inputs"] and other["does"] == "runs"
                    }
                    said = {"waits for": waits} if waits else {}
                    return {"what": "step", "deployment": graph["name"], **node, **said, **last}
        last = self._ran(environment, what)
        if last:  # an element of a fan, or a step that is no longer declared
            return {"what": "step", "name": what, **last}
        raise NotFoundError(
            f"nothing here is called {what!r}",
            hint="give a prediction's id, a version (nenrin models list), a load (nenrin data list --json), "
            "a deployment, a verdict, or a step (nenrin plan)",
            where=what,
        )

    def _ran(self, environment: str, step: str) -> dict[str, Any]:
        """When and why a step was computed last, and the parts of its key then."""
        newest = self._replay.engine(environment).newest(step)
        if newest is None:
            return {}
        key = [
            {"part": name, "value": part if len(part) < _DIGEST else part[:12]}
            for name, part in sorted(newest.parts.items())
        ]
        last = {"at": iso(newest.at), "why": newest.why, "cpu seconds": round(newest.cpu, 3)}
        return {"last computed": last, "key": key}
