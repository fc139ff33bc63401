"""Files of Keras and SavedModel folders of TensorFlow, through ONNX: converted once, served without either.

Keras exports itself (https://keras.io/api/models/model_saving_apis/export/); tf2onnx converts a SavedModel.
That happens in a process of its own, which ends with the library that it read. What comes of it is compared
with the library's own answers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.runtimes.onnx import OnnxModel, session
from nenrin.training.runtimes.opened import Opened

TOLERANCE = 1e-5
"""The largest difference between an answer of the ONNX model and the library's, relative to those above 1.

Both compute in single precision, and add in another order."""

MODEL, ROWS, ANSWERS = "model.onnx", "rows.npz", "answers.npy"

_SECONDS = 900
_EXPORT = "nenrin.training.runtimes.keras_export"


def is_keras(path: Path) -> bool:
    """Whether Keras or TensorFlow wrote a file or folder."""
    if path.is_dir():
        return (path / "saved_model.pb").exists()
    if path.suffix in (".keras", ".h5"):
        return True
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def open_keras(path: Path, *, trust: bool) -> Opened:
    """The model as ONNX.

    Args:
        path: what Keras saved, or a SavedModel folder.
        trust: its own code may run: a Lambda layer's.

    Raises:
        ProjectError: it cannot be read or converted, or what comes of it answers otherwise.
        MissingExtraError: the library is not installed.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment["KERAS_BACKEND"] = _backend(path)
    with tempfile.TemporaryDirectory(prefix="nenrin-keras-") as folder:
        command = [sys.executable, "-m", _EXPORT, str(path), folder, *(["trust"] if trust else [])]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ProjectError(
                f"{path.name} was not converted to ONNX within {_SECONDS} s",
                hint="convert it by hand, and give the .onnx file",
            ) from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise ProjectError(
                f"{path.name} cannot be converted to ONNX: {said[-1] if said else done.returncode}",
                hint="save it with the version of Keras that is installed here; a model with layers of "
                "your own code (Lambda) is read with trust=True",
            )
        data = (Path(folder) / MODEL).read_bytes()
        _compared(path.name, data, Path(folder))
    model = OnnxModel(data)
    return Opened(model, model.container)


def _backend(path: Path) -> str:
    """What reads it: TensorFlow anything, PyTorch a file of Keras' alone.

    Raises:
        MissingExtraError: neither is installed, with what exports from it.
    """
    if _installed("onnxruntime", "tensorflow", "tf2onnx"):
        return "tensorflow"
    if path.is_dir():
        raise MissingExtraError.of("tensorflow, tf2onnx or onnxruntime", "tensorflow")
    if _installed("onnxruntime", "keras", "torch", "onnxscript"):
        return "torch"
    raise MissingExtraError.of("keras, torch, onnxscript or onnxruntime", "keras")


def _installed(*modules: str) -> bool:
    return all(find_spec(module) for module in modules)


def _compared(name: str, data: bytes, folder: Path) -> None:
    """Refuse what answers otherwise than the library did, on the rows that it was asked.

    Raises:
        ProjectError: it does.
    """
    asked = session(data)
    with np.load(folder / ROWS) as rows:
        given = {key: rows[key] for key in rows.files}
    names = [each.name for each in asked.get_inputs()]
    fed = dict(zip(names, given.values(), strict=True)) if set(names) != set(given) else given
    fed = {
        key: value.astype(object) if value.dtype.kind == "U" else value
        for key, value in fed.items()
    }
    found, wanted = np.asarray(asked.run(None, fed)[0]), np.load(folder / ANSWERS)
    apart = np.inf
    if found.shape == wanted.shape:
        apart = float((np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))).max())
    if not apart <= TOLERANCE:
        raise ProjectError(
            f"{name} answers otherwise as ONNX: by {apart:.3g}, more than {TOLERANCE:g}",
            hint="serve it behind a URL with nr.remote(…), or leave out the layer that ONNX has not",
        )
