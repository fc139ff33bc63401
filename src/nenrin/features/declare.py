"""The word of this room in a project file: ``nr.feature_view``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

import msgspec

from nenrin.core.errors import ProjectError
from nenrin.core.instants import declared_duration
from nenrin.data.declare import Dataset

ViewFunction = Callable[[Any], Mapping[str, Any]]


class ViewSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a project file says of a feature view.

    Attributes:
        name: the function's name.
        by: columns of the dataset that a row's columns of the same names must equal; none: the view is
            over the model's own rows and comes from the request.
        ttl: microseconds after its event at which a row is too old to be used; none: never.
        hop: grid, in microseconds since 1970 UTC, to which window starts are moved back; none: exact.
        where: ``file:line`` of the function.
    """

    name: str
    by: tuple[str, ...] = ()
    ttl: int | None = None
    hop: int | None = None
    where: str = ""


class FeatureView:
    """A declared feature view. Calling it calls the plain function, with any row-like object."""

    __slots__ = ("dataset", "declared", "function")

    def __init__(self, declared: ViewSpec, dataset: Dataset, function: ViewFunction) -> None:
        self.declared = declared
        self.dataset = dataset
        self.function = function

    def __call__(self, row: Any) -> Mapping[str, Any]:
        """The features of one row, as the plain function gives them."""
        return self.function(row)

    def __repr__(self) -> str:
        return f"<feature view {self.declared.name}>"


def feature_view(
    dataset: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    ttl: str | None = None,
    hop: str | None = None,
) -> Callable[[ViewFunction], FeatureView]:
    """Declare the decorated function, from a row to a dict of features, as a feature view.

    Args:
        dataset: where the values come from.
        by: column or columns that join it to a model's rows; without, it must be the model's own rows.
        ttl: how old a row may be when it is used, such as ``"3h"``.
        hop: grid of window starts, such as ``"10m"``: a window is up to one hop longer than asked.

    Raises:
        ProjectError: an argument is not of its kind, or the function does not take exactly one row.
    """
    outside = inspect.currentframe()
    caller = outside.f_back if outside else None
    where = f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else ""
    if not isinstance(dataset, Dataset):
        raise ProjectError(
            f"nr.feature_view was given a {type(dataset).__name__}",
            hint="write `@nr.feature_view(flights)` with a declared dataset",
            where=where,
        )

    def declare(function: ViewFunction) -> FeatureView:
        code = getattr(function, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else where
        if not isinstance(code, CodeType) or len(inspect.signature(function).parameters) != 1:
            raise ProjectError(
                "a feature view decorates a function of one row",
                hint='write `def sky(w): return {"temp": w.temp}`',
                where=place,
            )
        spec = ViewSpec(
            name=function.__name__,
            by=_columns(by, place),
            ttl=None if ttl is None else declared_duration("ttl", ttl, place),
            hop=None if hop is None else declared_duration("hop", hop, place, "10m"),
            where=place,
        )
        return FeatureView(spec, dataset, function)

    return declare


def _columns(by: Any, where: str) -> tuple[str, ...]:
    columns = (by,) if isinstance(by, str) else tuple(by or ())
    named = all(isinstance(column, str) and column for column in columns)
    if not named or len({*columns}) < len(columns) or (by is not None and not columns):
        raise ProjectError(
            f"by={by!r} does not name columns",
            hint='give one column or several different ones: by="origin", by=["origin", "carrier"]',
            where=where,
        )
    return columns
