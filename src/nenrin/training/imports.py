"""Fitted models that a project brings along: read, and fitted to the columns that rows have.

Nothing is trained, so the same file gives the same artefact whatever rows there are: texts are given to the
model as they are, not over a vocabulary of training rows.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.data.declare import Comparison
from nenrin.training.columns import ColumnSpec
from nenrin.training.declare import Imported, Model, ModelSpec
from nenrin.training.formats import Skops, fitted_names

_UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True, slots=True)
class Brought:
    """A fitted model from a file.

    Attributes:
        model: the library's object.
        container: what its ``predict`` takes.
        columns: the features that it was fitted on, in its order.
        positive: what it calls the positive class, where that is not 1.
    """

    model: Any
    container: str
    columns: tuple[ColumnSpec, ...]
    positive: str | int | float | None


def bring(model: Model, folder: Path, columns: Sequence[ColumnSpec], task: str) -> Brought:
    """The fitted model that ``model`` declares, with the columns and the class that are meant.

    Args:
        model: a declared model with a file.
        folder: what the file's path is relative to.
        columns: every feature that rows have.
        task: ``binary`` or ``regression``.

    Raises:
        ProjectError: the file cannot be read, rows lack a column that it was fitted on, or it is not said
            which of its classes is the positive one.
        MissingExtraError: its library is not installed.
    """
    spec = model.declared
    fitted = read_imported(spec, folder)
    imported = _imported(spec)
    return Brought(
        model=fitted,
        container=imported.container,
        columns=_as_fitted(spec, fitted, columns),
        positive=_positive(model, fitted) if task == "binary" else None,
    )


def read_imported(spec: ModelSpec, folder: Path) -> Any:
    """The fitted model in the file that ``spec`` names, relative to ``folder``.

    Raises:
        ProjectError: the file is not there, is no model, or can run code without ``trust=True``.
        MissingExtraError: its library is not installed.
    """
    imported = _imported(spec)
    path = folder / imported.path
    if not path.is_file():
        raise ProjectError(
            f"{imported.path} is not there",
            hint="give the path relative to the project file",
            where=spec.where,
        )
    try:
        return _read(path, trust=imported.trust)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error.name or "the model's library", "sklearn") from error
    except _UNREADABLE as error:
        raise ProjectError(
            f"{imported.path} is no model that can be read: {error}",
            hint="save it with skops, joblib or pickle, with the versions installed here",
            where=spec.where,
        ) from error


def _read(path: Path, *, trust: bool) -> Any:
    if path.suffix == ".skops" and not trust:
        return Skops().loads(path.read_bytes())
    if path.suffix == ".skops":
        from skops.io import get_untrusted_types, load

        return load(path, trusted=get_untrusted_types(file=path))
    if path.suffix == ".joblib":
        import joblib

        return joblib.load(path)
    with path.open("rb") as file:
        return pickle.load(file)


def _imported(spec: ModelSpec) -> Imported:
    assert spec.imported is not None
    return spec.imported


def _as_fitted(
    spec: ModelSpec, fitted: Any, columns: Sequence[ColumnSpec]
) -> tuple[ColumnSpec, ...]:
    """The columns that the model was fitted on, in its order; all of them where it does not know names."""
    given = {column.name.replace(" ", "_"): column for column in columns}  # LightGBM's spelling
    given |= {column.name: column for column in columns}
    names = fitted_names(fitted) or [column.name for column in columns]
    absent = [name for name in names if name not in given]
    if absent:
        raise ProjectError(
            f"{spec.name} was fitted on {', '.join(names)}; rows have no {', '.join(absent)}",
            hint="give them in a feature view, under the names that the model was fitted on",
            where=spec.where,
        )
    width = getattr(fitted, "n_features_in_", len(names))
    if width != len(names):
        raise ProjectError(
            f"{spec.name} was fitted on {width} columns; rows have {len(names)}: {', '.join(names)}",
            hint="give a feature view with its columns, in its order",
            where=spec.where,
        )
    chosen = tuple(_open(given[name]) for name in names)
    texts = [column.name for column in chosen if column.kind == "string"]
    if texts and _imported(spec).container == "numpy":
        raise ProjectError(
            f"{spec.name} takes numbers, and {', '.join(texts)} is text",
            hint='leave the texts out of the features, or write container="pandas"',
            where=spec.where,
        )
    return chosen


def _open(column: ColumnSpec) -> ColumnSpec:
    if column.kind != "string":
        return column
    return ColumnSpec(name=column.name, kind="string", vocabulary=None)


def _positive(model: Model, fitted: Any) -> str | int | float | None:
    """What a classifier calls the class that the label means; None where that is 1, or no class is named."""
    classes = getattr(fitted, "classes_", None)
    if classes is None or not hasattr(fitted, "predict_proba"):
        return None
    named: list[Any] = np.asarray(classes).tolist()
    label = model.label
    meant = label.value if isinstance(label, Comparison) and label.op == "==" else 1
    if meant in named and set(named) != {0, 1}:
        return None if meant == 1 else meant
    if 1 in named:
        return None
    raise ProjectError(
        f"the classes of {model.declared.name} are {', '.join(map(repr, named))}, and which of them is meant"
        " is not said",
        hint=f"name it in the label: {model.label_column} == {named[-1]!r}",
        where=model.declared.where,
    )
