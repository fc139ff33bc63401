"""The registry's verbs: register, read, mark, alias, open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from nenrin.core.errors import NotFoundError, RefusedError, RequestError
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit, Units
from nenrin.registry.kinds import Answerer, Kinds, OpenContext
from nenrin.registry.ports import Aliases, Versions
from nenrin.registry.version import Status, Version
from nenrin.registry.version import version_id as identify


class RegistryService:
    """Versions of all kinds. Verbs that write take the unit of work that they belong to.

    Args:
        units: opens units for the verbs that read.
        store: where contents are kept.
        versions: keeps versions.
        aliases: keeps aliases.
        kinds: the kinds that are known.
    """

    def __init__(
        self,
        units: Units,
        store: ContentStore,
        versions: Versions,
        aliases: Aliases,
        kinds: Kinds,
    ) -> None:
        self._units = units
        self._store = store
        self._versions = versions
        self._aliases = aliases
        self._kinds = kinds

    def register(
        self,
        unit: Unit,
        *,
        name: str,
        kind: str,
        content: str,
        revision: str = "",
        parents: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Version:
        """Make a version of a content in the store, and record ``version.registered``.

        The same name, kind, content and parents is the same version: it is returned as it is, and nothing
        is recorded.

        Args:
            unit: the unit of work that it belongs to.
            name: what it is a version of.
            kind: name of its kind.
            content: digest of its bytes.
            revision: id of the project revision that made it.
            parents: digests and ids that it was made from.
            facts: plain values beside those that its kind reads from the content.

        Raises:
            NotFoundError: no such kind, or no such content.
            RequestError: the content is not of that kind.
        """
        version_id = identify(name, kind, content, parents)
        known = self._versions.get(unit, version_id)
        if known is not None:
            return known
        described = self._kinds.get(kind).describe(self._store.get(content))
        version = Version(
            id=version_id,
            name=name,
            kind=kind,
            environment=unit.environment,
            content=content,
            at=unit.at,
            revision=revision,
            parents=tuple(parents),
            facts={**described, **(facts or {})},
        )
        self._versions.put(unit, version)
        unit.record(
            "version.registered",
            version_id,
            {
                "name": name,
                "kind": kind,
                "content": content,
                "revision": revision,
                "parents": list(parents),
            },
        )
        return version

    def get(self, environment: str, version_id: str) -> Version:
        """The version of that id.

        Raises:
            NotFoundError: the environment has none.
        """
        with self._units.read(environment) as unit:
            return self.read(unit, version_id)

    def list(self, environment: str, name: str | None = None) -> list[Version]:
        """Versions of one name, or of all, in the order of their registration."""
        with self._units.read(environment) as unit:
            return self._versions.all(unit, name)

    def read(self, unit: Unit, version_id: str) -> Version:
        """The version of that id, as a unit that is open sees it.

        Raises:
            NotFoundError: the environment has none.
        """
        version = self._versions.get(unit, version_id)
        if version is None:
            raise NotFoundError(
                f"there is no version {version_id} in {unit.environment}",
                hint="`nenrin models list` shows those that are there",
                where=version_id,
            )
        return version

    def mark(self, unit: Unit, version_id: str, status: Status, reason: str = "") -> Version:
        """Change a version's status, and record ``version.marked``; no change is no event.

        Raises:
            NotFoundError: the environment has no such version.
            RefusedError: a bad version would be served.
        """
        version = self.read(unit, version_id)
        if version.status == status:
            return version
        if version.status == "bad" and status == "serving":
            raise RefusedError(
                f"version {version_id} is marked bad and cannot be served",
                hint="serve another one; `nenrin why` tells why it was marked",
                where=version_id,
            )
        version = replace(version, status=status)
        self._versions.put(unit, version)
        unit.record("version.marked", version_id, {"status": status, "reason": reason})
        return version

    def note(self, unit: Unit, version_id: str, facts: Mapping[str, Any]) -> Version:
        """Add facts to a version, in place of those of the same names. Nothing is recorded: no id has them.

        Raises:
            NotFoundError: the environment has no such version.
        """
        version = self.read(unit, version_id)
        version = replace(version, facts={**version.facts, **facts})
        self._versions.put(unit, version)
        return version

    def mark_bad(self, unit: Unit, version_id: str, reason: str) -> Version:
        """Never serve this version again.

        Raises:
            NotFoundError: the environment has no such version.
        """
        return self.mark(unit, version_id, "bad", reason)

    def alias(self, unit: Unit, name: str, alias: str, version_id: str) -> None:
        """Point an alias at a version, and record ``alias.moved``; no change is no event.

        Raises:
            NotFoundError: the environment has no such version.
            RequestError: it is a version of another name.
        """
        version = self.read(unit, version_id)
        if version.name != name:
            raise RequestError(
                f"version {version_id} is one of {version.name}, not of {name}",
                hint=f"`nenrin models list` shows the versions of {name}",
                where=version_id,
            )
        before = self._aliases.all(unit, name).get(alias)
        if before != version_id:
            self._aliases.put(unit, name, alias, version_id)
            unit.record("alias.moved", name, {"alias": alias, "from": before, "to": version_id})

    def aliases(self, environment: str, name: str) -> dict[str, str]:
        """Version ids of a name by alias."""
        with self._units.read(environment) as unit:
            return self._aliases.all(unit, name)

    def open(self, version: Version, context: OpenContext) -> Answerer:
        """The version, ready to answer.

        Raises:
            NotFoundError: its kind or its content is not here.
            NenrinError: something that its kind needs is not there.
        """
        return self._kinds.get(version.kind).open(self._store.get(version.content), context)
