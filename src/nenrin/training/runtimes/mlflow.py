"""MLflow's model folders: the flavour's own file where its library reads it, else its pyfunc.

Format: https://mlflow.org/docs/latest/ml/model/ (``MLmodel``). MLflow itself is needed for pyfunc only.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened, flat

_EPOCH = (1980, 1, 1, 0, 0, 0)
# Which entry of a flavour names the file that its library wrote.
_FILES: Mapping[str, str] = MappingProxyType(
    {
        "lightgbm": "data",
        "xgboost": "data",
        "catboost": "data",
        "onnx": "data",
        "sklearn": "pickled_model",
    }
)


class Mlflow:
    """A model folder as a zip archive. Reading it runs the folder's code."""

    name = "mlflow"
    library = "mlflow"
    runs_code = True
    keeps_classes = False

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Models that MLflow loaded as pyfunc."""
        del columns, container
        return isinstance(model, PyfuncModel)

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The archive."""
        del project
        data: bytes = model.data
        return data

    def loads(self, data: bytes) -> Any:
        """A :class:`PyfuncModel`."""
        return PyfuncModel(data)


class PyfuncModel:
    """A folder that MLflow loads and asks. Attributes: ``data``, the folder as an archive."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            from mlflow import pyfunc
        except ModuleNotFoundError as error:
            raise MissingExtraError.of("mlflow", "mlflow") from error
        self._folder = tempfile.TemporaryDirectory(prefix="nenrin-mlflow-")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(self._folder.name)  # names with .. in them are made harmless
        self._model = pyfunc.load_model(self._folder.name)
        kinds = signature(Path(self._folder.name))
        self._booleans = [name for name, kind in kinds.items() if kind == "boolean"]

    def predict(self, frame: Any) -> np.ndarray:
        """What the folder's ``predict`` gives for a pandas frame, shape (n,) or (n, classes)."""
        typed = frame.astype(dict.fromkeys(self._booleans, bool)) if self._booleans else frame
        return flat(self._model.predict(typed))


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that MLflow wrote a model into."""
    return (path / "MLmodel").is_file()


def native(folder: Path) -> Path | None:
    """The file that the flavour's own library wrote, where there is one that is read here."""
    flavours = _said(folder).get("flavors", {})
    for flavour, entry in _FILES.items():
        named = flavours.get(flavour, {}).get(entry)
        if not named:
            continue
        file = (folder / str(named)).resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    return None


def signature(folder: Path) -> dict[str, str]:
    """The columns that the folder's signature names, in order, with MLflow's types; none without one."""
    inputs = (_said(folder).get("signature") or {}).get("inputs")
    return {
        each["name"]: str(each.get("type", ""))
        for each in (json.loads(inputs) if inputs else [])
        if each.get("name") and each.get("type") != "tensor"
    }


def open_pyfunc(folder: Path) -> Opened:
    """The model as MLflow loads it. Runs the folder's code.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    return Opened(PyfuncModel(_zipped(folder)))


def _said(folder: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ProjectError(
            f"{folder.name}/MLmodel is no YAML: {error}", hint="write the folder again with MLflow"
        ) from error
    return said if isinstance(said, dict) else {}


def _zipped(folder: Path) -> bytes:
    """The folder as an archive whose bytes follow from its files alone."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = path.relative_to(folder).as_posix()
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes())
    return out.getvalue()
