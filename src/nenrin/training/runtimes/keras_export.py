"""Converts a model of Keras or TensorFlow to ONNX: ``python -m …keras_export PATH FOLDER [trust]``.

A program of its own, for it imports a library that nothing else needs. The folder gets the ONNX model, rows,
and what the library answers to them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.training.runtimes.keras import ANSWERS, MODEL, ROWS

_EACH = 500
_SIZES = (0.0, 1.0, 10.0, 100.0)  # nothing, features that are scaled, and larger ones
_TEXTS = ("", "a", "b", "x", "y", "z", "unseen")


def drawn(inputs: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, np.ndarray]:
    """2,000 rows for inputs, given by name as their shape without the rows, and their type."""
    rng = np.random.default_rng(0)
    found = {}
    for name, (shape, dtype) in inputs.items():
        if dtype == "string":
            found[name] = rng.choice(_TEXTS, (_EACH * len(_SIZES), *shape))
        elif "int" in dtype or dtype == "bool":
            found[name] = rng.integers(0, 2, (_EACH * len(_SIZES), *shape)).astype(dtype)
        else:
            parts = [size * rng.normal(size=(_EACH, *shape)) for size in _SIZES]
            found[name] = np.concatenate(parts).astype(dtype)
    return found


def export_keras(path: Path, folder: Path, *, trust: bool) -> tuple[dict[str, np.ndarray], Any]:
    """A file of Keras': the rows, and its answers."""
    import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    rows = drawn({each.name: (tuple(each.shape[1:]), str(each.dtype)) for each in model.inputs})
    given = [np.asarray(values) for values in rows.values()]
    structure = getattr(model, "_inputs_struct", None)
    fed: Any = dict(rows) if isinstance(structure, dict) else given[0] if len(given) == 1 else given
    answers = model.predict(fed, verbose=0)
    if keras.backend.backend() == "tensorflow":
        # its own export to ONNX makes inputs of a layer's constants (Keras 3.15 with tf2onnx 1.17)
        model.export(str(folder / "saved"), verbose=False)
        _convert(folder / "saved", folder)
    else:
        model.export(str(folder / MODEL), format="onnx", verbose=False)
    return rows, answers


def export_saved(path: Path, folder: Path) -> tuple[dict[str, np.ndarray], Any]:
    """A SavedModel folder: the rows, and its answers."""
    import tensorflow as tf

    ask = tf.saved_model.load(str(path)).signatures["serving_default"]
    _, specs = ask.structured_input_signature
    rows = drawn({name: (tuple(each.shape[1:]), each.dtype.name) for name, each in specs.items()})
    answers = ask(**{name: tf.constant(values) for name, values in rows.items()})
    _convert(path, folder)
    return rows, next(iter(answers.values())).numpy()


def _settle(path: Path) -> None:
    """Have equal models equal bytes: converters number unknown sizes, and write down where the file was."""
    import onnx

    model = onnx.load(path)
    for each in (*model.graph.input, *model.graph.output):
        for place, size in enumerate(each.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = f"size_{place}"
    del model.graph.value_info[:]
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    path.write_bytes(model.SerializeToString(deterministic=True))


def _convert(saved: Path, folder: Path) -> None:
    from tf2onnx import convert

    sys.argv = ["tf2onnx", "--saved-model", str(saved), "--output", str(folder / MODEL)]
    convert.main()


def main(path: Path, folder: Path, *, trust: bool) -> None:
    """Write the three files."""
    rows, answers = (
        export_saved(path, folder) if path.is_dir() else export_keras(path, folder, trust=trust)
    )
    _settle(folder / MODEL)
    np.savez(folder / ROWS, **rows)  # type: ignore[arg-type]
    np.save(folder / ANSWERS, np.asarray(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), trust="trust" in sys.argv[3:])
