"""Where the versions of one environment came from: recipe, look, code, parameters, loads, members."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nenrin.core.errors import NotFoundError
from nenrin.core.instants import iso
from nenrin.core.ledger import Event
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.gates.service import GatesService
from nenrin.gates.verdict import Verdict
from nenrin.project import came_of
from nenrin.project.made_from import Loads, MadeFrom, made_from, told
from nenrin.project.replay import ProjectReplay
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version


class Ancestry:
    """What one answer needs of an environment, each part read once, when it is first needed.

    Attributes:
        environment: which one.

    Args:
        replay: knows the project's revisions.
        registry, gates, data, units: the rooms' services and ports.
    """

    def __init__(
        self,
        environment: str,
        replay: ProjectReplay,
        *,
        registry: RegistryService,
        gates: GatesService,
        data: DataService,
        units: Units,
    ) -> None:
        self.environment = environment
        self._replay = replay
        self._registry = registry
        self._gates = gates
        self._data = data
        self._units = units

    @cached_property
    def versions(self) -> dict[str, Version]:
        """Every version by its id, in the order of registration."""
        return {version.id: version for version in self._registry.list(self.environment)}

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Every verdict, oldest first."""
        return self._gates.verdicts(self.environment)

    @cached_property
    def events(self) -> list[Event]:
        """The ledger's chain."""
        return list(self._units.events(self.environment))

    @cached_property
    def _loads(self) -> Loads:
        """Loads of this environment, then of the others: a backtest reads those of another."""
        others = self._units.environments()
        return Loads(self._data, dict.fromkeys((self.environment, *others)))

    def of(self, what: str) -> dict[str, Any]:
        """What a version was made from, and which verdict let it out."""
        version = self.versions.get(what)
        if version is None:  # the environment that it answered in is gone
            return {"version": what, "status": "not registered here"}
        made = made_from(version.parents)
        return {
            "version": version.id,
            "name": version.name,
            "kind": version.kind,
            "status": version.status,
            "registered": iso(version.at),
            "content": version.content,
            "revision": version.revision,
            "code": self._code(version.revision),
            "recipe": made.recipe,
            "look": made.look,
            "cutoff": made.cutoff,
            "params": version.facts.get("params", {}),
            "data": self._behind(made),
            "members": [self._member(version, each) for each in made.versions],
            "others": list(made.others),
            "made from": list(version.parents),
            "facts": version.facts,
            "admitted by": came_of.admission(self.verdicts, self.versions, self.events, what),
        }

    def _behind(self, made: MadeFrom) -> list[dict[str, Any]]:
        loads = self._loads.behind(made)
        return [told(loads[name], name, rows) for name, rows in made.data.items()]

    def _member(self, holder: Version, version: str) -> dict[str, Any]:
        found = self.versions.get(version)
        made = made_from(found.parents if found else ())
        return {
            "version": version,
            "slots": came_of.slots_of(holder, version),
            "recipe": made.recipe,
            "look": made.look,
            "status": found.status if found else "not registered here",
        }

    def _code(self, revision: str) -> dict[str, Any] | None:
        """Where the code of a version came from; None where no revision made it."""
        try:
            found = self._replay.revision(self.environment, revision)
        except NotFoundError:
            return None
        return {
            "commit": found.commit,
            "dirty": found.dirty,
            "source": found.source,
            "python": found.python,
            "packages": len(found.packages),
        }
