"""Which form of its models answers in a version: the compiled one, or the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit
from nenrin.registry.kinds.compiled import CompiledForms, outcome_of
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.registry.ports import Versions
from nenrin.registry.version import Version


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


class Told(msgspec.Struct, frozen=True):
    """Attributes: of each version ``compiled``, ``original``, or both words where its members differ; the
    versions that have a model that nobody tried to compile.
    """

    words: dict[str, str]
    untried: tuple[str, ...]


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

    def of(self, unit: Unit, version: str) -> CompiledForms:
        """The compiled forms of a version's models."""
        return CompiledForms(self._store, self._models(unit, version), self._rescoring)

    def told(self, unit: Unit, versions: Iterable[str]) -> Told:
        """Which form answers in each version of models, and in which none was tried."""
        words, untried = {}, []
        for version in versions:
            models = self._models(unit, version)
            if models:
                compiled = CompiledForms(self._store, models, self._rescoring).outcomes
                found = {"compiled" if each.content in compiled else "original" for each in models}
                words[version] = ", ".join(sorted(found))
            if any(outcome_of(model.facts) is None for model in models):
                untried.append(version)
        return Told(words, tuple(untried))

    def _models(self, unit: Unit, version: str) -> list[Version]:
        return list(models_of(lambda each: self._versions.get(unit, each), version))
