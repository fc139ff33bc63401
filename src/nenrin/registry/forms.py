"""Which form of its models answers in a version: the compiled one, or the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit
from nenrin.registry.kinds.compiled import CompiledForms
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.registry.ports import Versions
from nenrin.registry.version import Version
from nenrin.training.compiling.compile import Outcome


def models_of(get: Callable[[str], Version | None], version: str) -> Iterator[Version]:
    """The models that answer in a version: itself, or its members; none of another kind."""
    found = get(version)
    if found is None:
        return
    members = found.facts.get("members")
    if members:
        for member in dict.fromkeys(members.values()):
            yield from models_of(get, member)
    elif "format" in found.facts:
        yield found


class ServedForms:
    """The forms of what a data plane serves.

    Args:
        versions: the versions' records.
        store: where forms are kept.
        rescoring: compares their answers with those of originals.
    """

    def __init__(self, versions: Versions, store: ContentStore, rescoring: Rescoring) -> None:
        self._versions = versions
        self._store = store
        self._rescoring = rescoring

    def models(self, unit: Unit, version: str) -> tuple[list[Version], list[Version]]:
        """The models that answer in a version; those of them that do so by their compiled forms."""
        models = self._models(unit, version)
        outcomes = self._outcomes(models)
        return models, [model for model in models if model.content in outcomes]

    def words(self, unit: Unit, versions: Iterable[str]) -> dict[str, str]:
        """Of each version of models ``compiled``, ``original``, or both words where its members differ."""
        told = {}
        for version in versions:
            models = self._models(unit, version)
            if models:
                compiled = self._outcomes(models)
                found = {"compiled" if each.content in compiled else "original" for each in models}
                told[version] = ", ".join(sorted(found))
        return told

    def _outcomes(self, models: list[Version]) -> Mapping[str, Outcome]:
        return CompiledForms(self._store, models, self._rescoring).outcomes

    def _models(self, unit: Unit, version: str) -> list[Version]:
        return list(models_of(lambda each: self._versions.get(unit, each), version))
