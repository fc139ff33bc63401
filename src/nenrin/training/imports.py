"""Fitted models that a project brings along: read, and fitted to the columns that rows have.

Nothing is trained, so the same file gives the same artefact whatever rows there are: texts are places among
the categories that the file names, and where it names none they are given to the model as they are.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.errors import MissingExtraError, NenrinError, ProjectError
from nenrin.data.declare import Comparison
from nenrin.training.columns import ColumnSpec
from nenrin.training.declare import Imported, Model, ModelSpec
from nenrin.training.formats import fitted_names
from nenrin.training.model_files import open_file
from nenrin.training.runtimes.container import open_container
from nenrin.training.runtimes.opened import Opened
from nenrin.training.runtimes.remote import open_remote

_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)

_LIBRARIES = ("_catboost", "catboost", "lightgbm", "mlflow", "torch", "xgboost")


@dataclass(frozen=True, slots=True)
class Brought:
    """A fitted model from a file, or behind a URL.

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
        model: a declared model with a file or a URL.
        folder: what the file's path is relative to.
        columns: every feature that rows have.
        task: ``binary`` or ``regression``.

    Raises:
        ProjectError: the file cannot be read, rows lack a column that it was fitted on, or it is not said
            which of its classes is the positive one.
        MissingExtraError: its library is not installed.
        RemoteError: the server behind the URL does not answer.
    """
    spec = model.declared
    opened = read_imported(spec, folder, frozenset(column.name for column in columns))
    container = _imported(spec).container or opened.container
    return Brought(
        model=opened.model,
        container=container,
        columns=_as_fitted(spec, opened, container, columns),
        positive=_positive(model, opened.model) if task == "binary" else None,
    )


def read_imported(spec: ModelSpec, folder: Path, names: frozenset[str] = frozenset()) -> Opened:
    """The fitted model that ``spec`` names: a file or folder relative to ``folder``, a URL or an image.

    Args:
        spec: what the project file says.
        folder: of the project.
        names: of the columns that there are, of which a remote model may be sent those that it does not need.

    Raises:
        ProjectError: the file is not there, is no model, or can run code without ``trust=True``.
        MissingExtraError: its library is not installed.
        RemoteError: the server behind the URL does not answer.
    """
    imported = _imported(spec)
    path = folder / imported.path
    try:
        if imported.port:
            return open_container(
                imported.path, imported.port, imported.model, imported.timeout, names
            )
        if imported.timeout:
            return open_remote(imported.path, imported.timeout, names)
        if not path.exists():
            raise ProjectError(
                f"{imported.path} is not there", hint="give the path relative to the project file"
            )
        return open_file(path, trust=imported.trust)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error.name or "the model's library", "sklearn") from error
    except NenrinError as error:
        error.where = error.where or spec.where
        raise
    except _UNREADABLE as error:
        raise ProjectError(
            f"{imported.path} is no model that can be read: {error}",
            hint="save it again, with the versions of its library that are installed here",
            where=spec.where,
        ) from error
    except Exception as error:
        # the libraries' own errors have no common class
        if type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        raise ProjectError(
            f"{imported.path} is no model that {type(error).__module__.partition('.')[0].strip('_')}"
            f" can read: {str(error).splitlines()[0]}",
            hint="save it again, with the versions of its library that are installed here",
            where=spec.where,
        ) from error


def _imported(spec: ModelSpec) -> Imported:
    assert spec.imported is not None
    return spec.imported


def _as_fitted(
    spec: ModelSpec, opened: Opened, container: str, columns: Sequence[ColumnSpec]
) -> tuple[ColumnSpec, ...]:
    """The columns that the model was fitted on, in its order; all of them where it does not know names."""
    fitted = opened.model
    given = {column.name.replace(" ", "_"): column for column in columns}  # LightGBM's spelling
    given |= {column.name: column for column in columns}
    names = fitted_names(fitted) or opened.names or [column.name for column in columns]
    absent = [name for name in names if name not in given]
    if absent:
        raise ProjectError(
            f"{spec.name} was fitted on {', '.join(names)}; rows have no {', '.join(absent)}",
            hint="give them in a feature view, under the names that the model was fitted on",
            where=spec.where,
        )
    width = _width(fitted) or len(names)
    if width != len(names):
        raise ProjectError(
            f"{spec.name} was fitted on {width} columns; rows have {len(names)}: {', '.join(names)}",
            hint="give a feature view with its columns, in its order",
            where=spec.where,
        )
    chosen = [given[name] for name in names]
    texts = [column.name for column in chosen if column.kind == "string"]
    known = opened.categories
    if texts and (container == "numpy" or known == ()):
        raise ProjectError(
            f"{spec.name} takes numbers, and {', '.join(texts)} is text",
            hint="leave the texts out of the features"
            + (', or write container="pandas"' if known is None else ""),
            where=spec.where,
        )
    if known is not None and len(known) != len(texts):
        raise ProjectError(
            f"{spec.name} was fitted on {len(known)} categories, and rows have {len(texts)} texts: "
            f"{', '.join(texts) or 'none'}",
            hint="make a text of each of its categories, in a feature view",
            where=spec.where,
        )
    of = dict(zip(texts, known or [None] * len(texts), strict=True))
    return tuple(
        ColumnSpec(name=column.name, kind="string", vocabulary=of[column.name])
        if column.name in of
        else column
        for column in chosen
    )


def _width(fitted: Any) -> int | None:
    """How many columns a model takes, as far as it says."""
    said = getattr(fitted, "n_features_in_", None)
    if said is None and hasattr(fitted, "num_feature"):
        said = fitted.num_feature()  # a booster of LightGBM's
    return said


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
