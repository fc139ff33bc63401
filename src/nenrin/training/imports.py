"""Reading fitted models that a project brings along."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.declare import ModelSpec
from nenrin.training.formats import Skops

_UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def read_imported(spec: ModelSpec, folder: Path) -> Any:
    """The fitted model in the file that ``spec`` names, relative to ``folder``.

    Raises:
        ProjectError: the file is not there, is no model, or can run code without ``trust=True``.
        MissingExtraError: its library is not installed.
    """
    assert spec.imported is not None
    path = folder / spec.imported.path
    if not path.is_file():
        raise ProjectError(
            f"{spec.imported.path} is not there",
            hint="give the path relative to the project file",
            where=spec.where,
        )
    try:
        return _read(path, trust=spec.imported.trust)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error.name or "the model's library", "sklearn") from error
    except _UNREADABLE as error:
        raise ProjectError(
            f"{spec.imported.path} is no model that can be read: {error}",
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
