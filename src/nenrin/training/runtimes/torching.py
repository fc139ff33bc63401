"""PyTorch models as files of TorchScript or ``torch.export``: programs, which only trust opens."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened, flat


class Torch:
    """A file of TorchScript or ``torch.export``, kept as it is."""

    name = "torch"
    library = "torch"
    runs_code = True
    keeps_classes = False

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Models that were read from such a file, and those that can be written as one."""
        del columns, container
        return isinstance(model, TorchModel)

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The file."""
        del project
        data: bytes = model.data
        return data

    def loads(self, data: bytes) -> Any:
        """A :class:`TorchModel`."""
        return TorchModel(data)


class TorchModel:
    """A module that takes float32 of shape (n, features) and gives one number a row, or one a class.

    Of a binary model the numbers are probabilities: a last layer without a sigmoid gives something else.

    Attributes:
        data: the file.
        container: ``numpy``.
    """

    container = "numpy"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._torch = _torch()
        if kind_of(data) == "export":
            self._module = self._torch.export.load(io.BytesIO(data)).module()
        else:
            self._module = self._torch.jit.load(io.BytesIO(data), map_location="cpu").eval()

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """One number a row, shape (n,)."""
        return self.predict_proba(matrix)

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        """What the module gives: shape (n,), or (n, classes)."""
        rows = self._torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32))
        with self._torch.no_grad():
            return flat(self._module(rows).detach().cpu().numpy())


def kind_of(data: bytes) -> str | None:
    """``script`` or ``export`` for a file of that kind, ``weights`` for one of ``torch.save``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return None
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner or "serialized_exported_program.json" in {*names, *inner}:
        return "export"
    if "data.pkl" not in inner:
        return None
    return "script" if any(name.startswith("code/") for name in inner) else "weights"


def open_torch(data: bytes) -> Opened:
    """The model in a file of TorchScript or ``torch.export``. Runs what is in it.

    Raises:
        ProjectError: the file holds weights or a pickled object, not a program.
        MissingExtraError: PyTorch is not installed.
    """
    if kind_of(data) == "weights":
        raise ProjectError(
            "the file holds what torch.save pickled, not a program",
            hint="write it with torch.export.save(torch.export.export(net, …), path)",
        )
    return Opened(TorchModel(data), TorchModel.container)


def adopted(model: Any) -> Any:
    """A TorchScript module or an exported program as a :class:`TorchModel`; anything else as it is."""
    kind = type(model)
    if kind.__module__.partition(".")[0] != "torch":
        return model
    out = io.BytesIO()
    if kind.__name__ == "ExportedProgram":
        _torch().export.save(model, out)
    elif isinstance(model, _torch().jit.ScriptModule):
        _torch().jit.save(model, out)
    else:
        return model
    return TorchModel(out.getvalue())


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("torch", "torch") from error
    return torch
