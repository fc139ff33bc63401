"""What the arguments of a model's declaration are checked against, before anything is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nenrin.core.errors import ProjectError
from nenrin.data.declare import Column, Comparison, Dataset, Shifted
from nenrin.training.spaces import Choice, Floats, Integers


def check_sources(
    rows: object, label: object, features: object, drop: object, at: object, where: str
) -> None:
    """Refuse what is no dataset, label, list of views, list of columns or instant.

    Raises:
        ProjectError: says which, at ``where``.
    """
    if not isinstance(rows, Dataset):
        raise ProjectError(
            f"rows={rows!r} is not a dataset",
            hint="give it a function decorated by @nr.dataset, or nr.file(…)",
            where=where,
        )
    if not isinstance(label, Column | Comparison):
        raise ProjectError(
            f"label={label!r} is not a column",
            hint='write label=arrivals.late, or label=customers.churned == "Yes"',
            where=where,
        )
    if features is not None and (isinstance(features, str) or not isinstance(features, Sequence)):
        raise ProjectError(
            "features= is not a list of feature views",
            hint="write features=[sky, trip], or leave it out to use every column",
            where=where,
        )
    if isinstance(drop, str) or not isinstance(drop, Sequence):
        raise ProjectError(
            f"drop={drop!r} is not a list of columns", hint='write drop=["notes"]', where=where
        )
    if features is not None and drop:
        raise ProjectError(
            "drop= is for models without features=",
            hint="leave the column out of the feature views instead",
            where=where,
        )
    _check_at(rows, at, where)


def _check_at(rows: Dataset, at: object, where: str) -> None:
    if at is None:
        return
    column = at.column if isinstance(at, Shifted) else at
    if not isinstance(column, Column) or column.dataset is not rows:
        raise ProjectError(
            f"at={at!r} is not an instant of the rows",
            hint='write at=flights.sched_dep - "2h" with a time column of the rows\' dataset',
            where=where,
        )


def check_baseline(baseline: object, where: str) -> None:
    """Refuse a baseline that is not known.

    Raises:
        ProjectError: says which, at ``where``.
    """
    if baseline != "prior":
        raise ProjectError(
            f"baseline={baseline!r} is not known",
            hint='write baseline="prior": the mean label of the training rows',
            where=where,
        )


def check_tune(function: Callable[..., Any], spaces: Mapping[str, object], where: str) -> None:
    """Refuse spaces of parameters that the function does not have, and a function without rows.

    Raises:
        ProjectError: says which, at ``where``.
    """
    names = list(inspect.signature(function).parameters)
    if not names:
        raise ProjectError(
            f"{function.__name__} takes no rows",
            hint=f"write `def {function.__name__}(rows):`",
            where=where,
        )
    for name, space in spaces.items():
        if name not in names[1:]:
            raise ProjectError(
                f"tune names {name!r}, which is no parameter of {function.__name__}",
                hint=f"add it with a default: `def {function.__name__}(rows, {name}=…)`",
                where=where,
            )
        if not isinstance(space, Integers | Floats | Choice):
            raise ProjectError(
                f"tune[{name!r}] is not a space",
                hint="write nr.integers(…), nr.floats(…) or nr.choice([…])",
                where=where,
            )
