"""What a version was made from: its parents as the registry keeps them, and the loads behind them.

A fit keeps of each dataset the digest of the rows that were known at its look. Loads only add rows, so the
loads that hold exactly these rows, as known then, follow one another; the first of them is the one that a
fit was trained on, whatever is loaded later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from nenrin.core.instants import iso, to_us
from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion
from nenrin.registry.version import Version

_SAID = ("recipe", "look", "cutoff")


class MadeFrom(msgspec.Struct, frozen=True, kw_only=True):
    """A version's parents, read.

    Attributes:
        recipe, look, cutoff: of a fit, as the registry has them; empty where it is none.
        data: dataset to the digest of its rows known at the look.
        versions: ids of the versions that it is made from: a mixture's members.
        others: the parents that are none of these.
    """

    recipe: str = ""
    look: str = ""
    cutoff: str = ""
    data: dict[str, str] = {}
    versions: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def looked(self) -> int:
        """The instant of the look, microseconds UTC."""
        return to_us(datetime.fromisoformat(self.look))

    @property
    def cut(self) -> int:
        """The instant of the cut-off, microseconds UTC."""
        return to_us(datetime.fromisoformat(self.cutoff))


def made_from(parents: Sequence[str]) -> MadeFrom:
    """The parents of a version, read."""
    said: dict[str, str] = {}
    data: dict[str, str] = {}
    versions, others = [], []
    for parent in parents:
        word, _, rest = parent.partition(":")
        if word == "data" and ":" in rest:
            dataset, _, digest = rest.rpartition(":")
            data[dataset] = digest
        elif word in _SAID:
            said[word] = rest
        elif parent.startswith("version-"):
            versions.append(parent)
        else:
            others.append(parent)
    return MadeFrom(data=data, versions=tuple(versions), others=tuple(others), **said)


class Loads:
    """The loads of some environments, asked which of them a fit was trained on.

    Args:
        data: the datasets' versions.
        environments: where loads are looked for, in this order.
    """

    def __init__(self, data: DataService, environments: Iterable[str]) -> None:
        self._data = data
        self._known: dict[tuple[str, int], str] = {}
        self._loads = [data.versions(environment) for environment in environments]

    def behind(self, made: MadeFrom) -> dict[str, DatasetVersion | None]:
        """The load behind each dataset of a fit; None where none here holds its rows."""
        return {name: self._first(name, made.looked, rows) for name, rows in made.data.items()}

    def trained_on(self, load: DatasetVersion, fits: Iterable[Version]) -> list[Version]:
        """The fits that were trained on a load: those whose rows it is the first to hold."""
        before = next(
            (
                other
                for other in self._data.versions(load.environment, load.dataset)
                if other.number == load.number - 1
            ),
            None,
        )
        return [fit for fit in fits if self._is_first(load, before, made_from(fit.parents))]

    def _is_first(
        self, load: DatasetVersion, before: DatasetVersion | None, made: MadeFrom
    ) -> bool:
        rows = made.data.get(load.dataset)
        if rows is None or self._rows(load, made.looked) != rows:
            return False
        return before is None or self._rows(before, made.looked) != rows

    def _first(self, dataset: str, look: int, rows: str) -> DatasetVersion | None:
        for loads in self._loads:
            for load in loads:
                if load.dataset == dataset and self._rows(load, look) == rows:
                    return load
        return None

    def _rows(self, load: DatasetVersion, look: int) -> str:
        """Digest of the rows of a load that were known at a look."""
        asked = (load.manifest, look)
        if asked not in self._known:
            self._known[asked] = self._data.digest_as_of(load, look)
        return self._known[asked]


def told(load: DatasetVersion | None, name: str, rows: str) -> dict[str, Any]:
    """A load behind a fit, for people; ``rows`` is the digest that the fit keeps."""
    if load is None:
        return {"dataset": name, "version": None, "known at the look": rows}
    return {
        "dataset": name,
        "version": load.id,
        "number": load.number,
        "rows": load.rows,
        "loaded": iso(load.at),
        "known at the look": rows,
    }
