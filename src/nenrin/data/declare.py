"""The words of this room in a project file: ``nr.dataset`` and ``nr.file``.

A declaration only builds an object: nothing is read, registered or checked against data before a
load. Whoever loads the project file finds the objects among the module's attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nenrin.core.called import called_from
from nenrin.core.errors import ProjectError
from nenrin.core.instants import duration
from nenrin.data.spec import DatasetSpec, checked_spec


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """A column of a dataset, as ``label=`` and ``at=`` take it; compared with a value, a label."""

    dataset: Dataset
    name: str

    __hash__ = object.__hash__

    def __eq__(self, value: object) -> Comparison:  # type: ignore[override]
        return self._compare("==", value)

    def __ne__(self, value: object) -> Comparison:  # type: ignore[override]
        return self._compare("!=", value)

    def __lt__(self, value: object) -> Comparison:
        return self._compare("<", value)

    def __le__(self, value: object) -> Comparison:
        return self._compare("<=", value)

    def __gt__(self, value: object) -> Comparison:
        return self._compare(">", value)

    def __ge__(self, value: object) -> Comparison:
        return self._compare(">=", value)

    def __add__(self, time: str) -> Shifted:
        return Shifted(self, _shift(self, time))

    def __sub__(self, time: str) -> Shifted:
        return Shifted(self, -_shift(self, time))

    def __bool__(self) -> bool:
        raise _no_truth(str(self))

    def __str__(self) -> str:
        return f"{self.dataset.declared.name or 'dataset'}.{self.name}"

    def _compare(self, op: str, value: object) -> Comparison:
        if not isinstance(value, str | bool | int | float):
            raise ProjectError(
                f"{self} is compared with a {type(value).__name__}",
                hint=f'compare a column with a text, a number or a truth value: {self} {op} "yes"',
                where=called_from(__file__),
            )
        return Comparison(self, op, value)


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """A column compared with a plain value: true or false, and null where the column is."""

    column: Column
    op: str
    value: str | bool | int | float

    def __bool__(self) -> bool:
        raise _no_truth(str(self))

    def __str__(self) -> str:
        return f"{self.column} {self.op} {self.value!r}"


@dataclass(frozen=True, eq=False, slots=True)
class Shifted:
    """The instants of a column moved by ``us`` microseconds, negative for earlier."""

    column: Column
    us: int


class Dataset:
    """A declared dataset. Calling it gives what it loads; its columns are attributes and items.

    ``declared`` and ``named`` are its only words: a column with such a name is
    ``dataset["declared"]``.
    """

    __slots__ = ("_folder", "_function", "declared")

    declared: DatasetSpec
    _function: Callable[[], object] | None
    _folder: Path

    def __init__(self, declared: DatasetSpec, function: Callable[[], object] | None = None) -> None:
        self.declared = declared
        self._function = function
        self._folder = Path()

    def __call__(self) -> object:
        """What the function gives, or the path of the file."""
        if self._function is not None:
            return self._function()
        return self._folder / str(self.declared.path)

    def __getitem__(self, column: str) -> Column:
        return Column(self, column)

    def __getattr__(self, column: str) -> Column:
        if column.startswith("_"):  # what Python and notebooks look for; dataset["_x"] is a column
            raise AttributeError(column)
        return Column(self, column)

    def named(self, name: str, folder: Path) -> Dataset:
        """Tell a dataset what the project calls it, and where relative paths begin.

        It is told, not copied: labels and views hold the object itself. The first name stays.
        """
        if not self.declared.name:
            self.declared = msgspec.structs.replace(self.declared, name=name)
        self._folder = folder
        return self

    def __repr__(self) -> str:
        return f"<dataset {self.declared.name or self.declared.path}>"


def dataset(
    *,
    key: str | Sequence[str] | None = None,
    time: str | None = None,
    tz: str | None = None,
    known: str | None = None,
    personal: Mapping[str, str] | None = None,
) -> Callable[[Callable[[], object]], Dataset]:
    """Declare the decorated function, which takes nothing and gives a table, as a dataset.

    Args:
        key: column or columns that identify a row; without, a row is identified by its content.
        time: column of the event: when it happened.
        tz: IANA time zone in which naive times are local; without it they are UTC.
        known: column, or a delay such as ``"30m"``: when the system could have known the row.
        personal: columns that the prediction log may not hold as they are: ``{"email": "hash"}`` keeps a
            keyed hash, which still joins, ``{"name": "drop"}`` nothing.

    Raises:
        ProjectError: an argument is not of its kind, or the function wants arguments.
    """
    where = called_from(__file__)

    def declare(function: Callable[[], object]) -> Dataset:
        place = _place(function) or where
        if inspect.signature(function).parameters:
            raise ProjectError(
                "nr.dataset decorates a function without parameters that returns a table",
                hint="write `@nr.dataset(key=…)` above `def name():`",
                where=place,
            )
        return Dataset(
            checked_spec(
                function.__name__,
                place,
                key=key,
                time=time,
                tz=tz,
                known=known,
                personal=personal,
            ),
            function,
        )

    return declare


def file(
    path: str | Path,
    *,
    key: str | Sequence[str] | None = None,
    time: str | None = None,
    tz: str | None = None,
    known: str | None = None,
    personal: Mapping[str, str] | None = None,
) -> Dataset:
    """Declare a CSV or Parquet file as a dataset; it is called what the project calls it.

    Args:
        path: relative to the project file. The other arguments are :func:`dataset`'s.

    Raises:
        ProjectError: an argument is not of its kind.
    """
    return Dataset(
        checked_spec(
            "",
            called_from(__file__),
            key=key,
            time=time,
            tz=tz,
            known=known,
            path=str(path),
            personal=personal,
        )
    )


def _shift(column: Column, time: object) -> int:
    try:
        return duration(time if isinstance(time, str) else repr(time))
    except ProjectError as error:
        raise ProjectError(
            f"{column} cannot be moved by {time!r}",
            hint=f'write a duration as text: {column} - "2h"',
            where=called_from(__file__),
        ) from error


def _no_truth(what: str) -> ProjectError:
    return ProjectError(
        f"{what} is a declaration and neither true nor false",
        hint='write one comparison, without `and`, `or`, `not`, `in`: label=orders.state == "paid"',
        where=called_from(__file__),
    )


def _place(function: object) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


def columns_hidden_by_words(columns: Sequence[str]) -> list[str]:
    """Those of ``columns`` that ``dataset.column`` cannot reach, only ``dataset["column"]``."""
    return [column for column in columns if column in dir(Dataset)]
