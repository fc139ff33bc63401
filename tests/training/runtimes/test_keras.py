"""Keras and TensorFlow: converted in a process of its own, and compared with their own answers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.runtimes import keras
from nenrin.training.runtimes.keras_export import drawn
from tests.training.runtimes.brought import INSTALL, agrees, artefact, declared, rows

# Reading these libraries takes seconds, and leaves threads and warnings behind: so they stay outside.
WRITES = """
import sys
import numpy as np
import keras

keras.utils.set_random_seed(1)
layers = [keras.Input((2,)), keras.layers.Normalization(mean=[0.0, 1.0], variance=[1.0, 4.0])]
if sys.argv[2] == "lambda":
    layers.append(keras.layers.Lambda(lambda x: x * 2))
layers += [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
model = keras.Sequential(layers)
answers = model.predict(np.load("rows.npy"), verbose=0)
model.export(sys.argv[1], verbose=False) if sys.argv[2] == "saved" else model.save(sys.argv[1])
np.save("answers.npy", answers)
"""


def has(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


TENSORFLOW = has("tensorflow", "tf2onnx", "onnxruntime")
KERAS = TENSORFLOW or has("keras", "torch", "onnxscript", "onnxruntime")


def written(folder: Path, name: str, kind: str) -> np.ndarray:
    """Write a model that its library makes; what that answers for :func:`rows`."""
    if not (TENSORFLOW if kind == "saved" else KERAS):
        pytest.skip(INSTALL.format("tensorflow" if kind == "saved" else "keras"))
    np.save(
        folder / "rows.npy", rows().select("a", "b").fill_nan(0.0).to_numpy().astype(np.float32)
    )
    backend = "tensorflow" if TENSORFLOW else "torch"
    subprocess.run(
        [sys.executable, "-c", WRITES, name, kind],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        capture_output=True,
    )
    return np.load(folder / "answers.npy")[:, 0]


@pytest.mark.parametrize(
    ("name", "kind"), [("model.keras", "file"), ("model.h5", "file"), ("folder", "saved")]
)
def test_a_model_answers_as_its_library_does(tmp_path: Path, name: str, kind: str) -> None:
    own = written(tmp_path, name, kind)
    frame = rows().select("a", "b").fill_nan(0.0)
    brought = artefact(declared(name, trust=kind == "saved"), tmp_path, frame)
    assert brought.header.format == "onnx"
    agrees(brought, frame, own, 1e-6)


def test_code_in_a_layer_wants_trust(tmp_path: Path) -> None:
    own = written(tmp_path, "model.keras", "lambda")
    frame = rows().select("a", "b").fill_nan(0.0)
    with pytest.raises(ProjectError, match="cannot be converted to ONNX") as caught:
        artefact(declared("model.keras"), tmp_path, frame)
    assert "trust=True" in caught.value.hint
    agrees(artefact(declared("model.keras", trust=True), tmp_path, frame), frame, own, 1e-6)


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program converts, so that what is done with it can be tested without the libraries."""
    pytest.importorskip("onnx", reason=INSTALL.format("compile"))
    monkeypatch.setattr(keras, "_backend", lambda _: "torch")
    monkeypatch.setattr(keras, "_EXPORT", "tests.training.runtimes.exported")


@pytest.mark.usefixtures("stood_in")
def test_what_comes_of_it_is_served_as_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_text("0")
    frame = rows().select("a", "b").fill_nan(0.0)
    brought = artefact(declared("model.keras"), tmp_path, frame, "regression")
    agrees(brought, frame, frame.to_numpy().sum(axis=1), 1e-6)


@pytest.mark.usefixtures("stood_in")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.001", "model.keras answers otherwise as ONNX: by 0.001, more than 1e-05"),
        ("nan", "model.keras answers otherwise as ONNX: by nan"),
        ("junk", "model.keras cannot be converted to ONNX: ValueError: could not convert"),
    ],
)
def test_what_answers_otherwise_or_fails_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "model.keras").write_text(text)
    with pytest.raises(ProjectError, match=said):
        artefact(declared("model.keras"), tmp_path, rows().select("a", "b"))


def saved_model(folder: Path) -> None:
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"x")


@pytest.mark.parametrize(("name", "extra"), [("model.h5", "keras"), ("saved", "tensorflow")])
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str
) -> None:
    saved_model(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"x")
    monkeypatch.setattr(keras, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        artefact(declared(name, trust=True), tmp_path, rows())
    assert caught.value.hint == INSTALL.format(extra)


def test_a_saved_model_is_a_program_and_wants_trust(tmp_path: Path) -> None:
    saved_model(tmp_path)
    with pytest.raises(ProjectError, match="can run code when it is read"):
        artefact(declared("saved"), tmp_path, rows())


def test_rows_of_every_type_are_drawn() -> None:
    found = drawn({"x": ((3,), "float32"), "n": ((1,), "int64"), "t": ((1,), "string")})
    assert {name: (each.shape, each.dtype.kind) for name, each in found.items()} == {
        "x": ((2000, 3), "f"),
        "n": ((2000, 1), "i"),
        "t": ((2000, 1), "U"),
    }
    assert np.abs(found["x"]).max() > 100
    assert (found["x"][:500] == 0).all()
