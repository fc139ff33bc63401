"""The kinds that this process knows."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.registry.kinds.contract import Kind

GROUP = "nenrin.kinds"


class Kinds:
    """Kinds by name: those of installed distributions, imported when first asked for, and given ones.

    Args:
        given: kinds beside the installed ones.

    Raises:
        ConflictError: two kinds have the same name.
    """

    def __init__(self, given: Iterable[Kind] = ()) -> None:
        self._installed: dict[str, EntryPoint] = {}
        self._opened: dict[str, Kind] = {}
        for entry in entry_points(group=GROUP):
            self._refuse_second(entry.name)
            self._installed[entry.name] = entry
        for kind in given:
            self._refuse_second(kind.name)
            self._opened[kind.name] = kind

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted({*self._installed, *self._opened})

    def get(self, name: str) -> Kind:
        """The kind of that name.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self._opened:
            if name not in self._installed:
                raise NotFoundError(
                    f"there is no kind {name!r}",
                    hint=f"known are {', '.join(self.names())}; others come from the distribution"
                    f" that has the entry point {GROUP}:{name}",
                    where=name,
                )
            self._opened[name] = self._installed[name].load()()
        return self._opened[name]

    def _refuse_second(self, name: str) -> None:
        if name in self._installed or name in self._opened:
            raise ConflictError(
                f"two kinds are named {name!r}",
                hint="rename the one that is yours, or uninstall one of the distributions",
                where=name,
            )
