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
from nenrin.project.replay import Revisions
from nenrin.project.revision import Revision
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version


class Ancestry:
    """What one answer needs of an environment, each part read once, when it is first needed.

    Attributes:
        environment: which one.

    Args:
        revisions: keeps the project's.
        registry, gates, data, units: the rooms' services and ports.
    """

    def __init__(
        self,
        environment: str,
        revisions: Revisions,
        *,
        registry: RegistryService,
        gates: GatesService,
        data: DataService,
        units: Units,
    ) -> None:
        self.environment = environment
        self._revisions = revisions
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
            "admitted by": self._admission(what),
        }

    def revision(self, revision: str) -> Revision:
        """An earlier revision of the project.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._units.read(self.environment) as unit:
            return self._revisions.get(unit, revision)

    def _admission(self, what: str) -> dict[str, Any]:
        """What let a version out, here or in the environment that it was adopted from."""
        for each in (self, *self._others):
            if what in each.versions:
                found = came_of.admission(each.verdicts, each.versions, each.events, what)
                if found["ring"] is not None:
                    return {"environment": each.environment, **found}
        here = came_of.admission(self.verdicts, self.versions, self.events, what)
        return {"environment": self.environment, **here}

    @cached_property
    def _others(self) -> list[Ancestry]:
        """The other environments: an adopted version had its verdicts and rings in a backtest's."""
        return [
            Ancestry(
                environment,
                self._revisions,
                registry=self._registry,
                gates=self._gates,
                data=self._data,
                units=self._units,
            )
            for environment in self._units.environments()
            if environment != self.environment
        ]

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
            found = self.revision(revision)
        except NotFoundError:
            return None
        return {
            "commit": found.commit,
            "dirty": found.dirty,
            "source": found.source,
            "python": found.python,
            "packages": len(found.packages),
        }
