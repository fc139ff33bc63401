"""Stands in for the program that converts: writes an ONNX model of a sum, rows, and answers to them.

``python -m tests.training.runtimes.exported PATH FOLDER``: the file says how far its answers are off, or is
no number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from nenrin.training.runtimes.keras import ANSWERS, MODEL, ROWS


def main(path: Path, folder: Path) -> None:
    """Write the three files."""
    off = float(path.read_text())
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1)],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    ).SerializeToString()
    (folder / MODEL).write_bytes(model)
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    np.savez(folder / ROWS, x=rows)
    np.save(folder / ANSWERS, rows.sum(axis=1, keepdims=True) + np.float32(off))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
