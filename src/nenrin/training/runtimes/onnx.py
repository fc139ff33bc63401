"""ONNX models, by onnxruntime on the CPU with one thread.

A model takes one matrix of numbers, or one input a column. The answer is the output that is called a
probability, else the first one of floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.errors import MissingExtraError, ProjectError, RequestError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened, flat, likely

_DTYPES: Mapping[str, Any] = MappingProxyType(
    {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(bool)": np.bool_,
        "tensor(string)": np.object_,
    }
)
_FLOATS = ("tensor(float)", "tensor(double)")


class Onnx:
    """An ONNX file, kept as it is."""

    name = "onnx"
    library = "onnxruntime"
    runs_code = False
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Models that were read from ONNX."""
        del columns, container
        return isinstance(model, OnnxModel)

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The file."""
        del project
        data: bytes = model.data
        return data

    def loads(self, data: bytes) -> Any:
        """An :class:`OnnxModel`."""
        return OnnxModel(data)


class OnnxModel:
    """A loaded ONNX model.

    Attributes:
        data: the file.
        container: ``numpy`` for one matrix, ``polars`` for one input a column.
        n_features_in_: how many columns it takes; absent where the model does not say.
        feature_names_in_: their names, where there is one input a column.
        classes_: its classes, where the model names them in its answers.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._session = session(data)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._types = {each.name: each.type for each in inputs}
        strange = sorted(set(self._types.values()) - set(_DTYPES))
        if strange:
            raise ProjectError(
                f"the ONNX model takes {', '.join(strange)}, which no table gives",
                hint=f"export it with inputs of {', '.join(_DTYPES)}",
            )
        matrix = len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] != 1
        self.container = "numpy" if matrix else "polars"
        self.feature_names_in_ = None if matrix else list(self._types)
        if not matrix:
            self.n_features_in_ = len(inputs)
        elif isinstance(inputs[0].shape[1], int):
            self.n_features_in_ = inputs[0].shape[1]
        self._ranks = {each.name: len(each.shape) for each in inputs}
        self._output = _output({each.name: each.type for each in outputs})
        self._maps = not outputs[self._output].type.startswith("tensor")
        if self._maps:
            self.classes_ = np.array(list(self._run(self._blank())[0]))

    def predict(self, container: Any) -> np.ndarray:
        """One number a row, shape (n,)."""
        return flat(self._run(self._fed(container)))

    def predict_proba(self, container: Any) -> np.ndarray:
        """Probabilities, shape (n, classes), or (n,) where the model gives that of one class."""
        answer = self._run(self._fed(container))
        if self._maps:
            return np.array([[row[each] for each in self.classes_.tolist()] for row in answer])
        return flat(answer)

    def _run(self, fed: dict[str, np.ndarray]) -> Any:
        return self._session.run(None, fed)[self._output]

    def _fed(self, container: Any) -> dict[str, np.ndarray]:
        if self.container == "numpy":
            ((name, kind),) = self._types.items()
            return {name: np.ascontiguousarray(container, dtype=_DTYPES[kind])}
        columns = {name: _values(container[name], kind) for name, kind in self._types.items()}
        return {
            name: values.reshape(-1, 1) if self._ranks[name] == 2 else values
            for name, values in columns.items()
        }

    def _blank(self) -> dict[str, np.ndarray]:
        """A row of zeros and empty texts: the answer to it names the classes."""
        if self.container == "numpy":
            return self._fed(np.zeros((1, getattr(self, "n_features_in_", 1))))
        return self._fed(
            pl.DataFrame(
                {
                    name: [""] if kind == "tensor(string)" else [0]
                    for name, kind in self._types.items()
                }
            )
        )


def open_onnx(data: bytes) -> Opened:
    """The model in an ONNX file.

    Raises:
        ProjectError: it takes what no table gives.
        ValueError: the bytes are no ONNX model.
        MissingExtraError: onnxruntime is not installed.
    """
    model = OnnxModel(data)
    return Opened(model, model.container)


def session(data: bytes) -> Any:
    """What asks an ONNX model: onnxruntime's session on the CPU with one thread.

    Raises:
        ValueError: the bytes are no ONNX model.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no public name, and no base of their own
        raise ValueError(str(error)) from error


def _output(types: Mapping[str, str]) -> int:
    """The place of the output that is the answer."""
    names = list(types)
    maps = [name for name, kind in types.items() if kind.startswith("seq(map(")]
    floats = [name for name, kind in types.items() if kind in _FLOATS]
    chosen = next(iter(maps), None) or likely(floats) or next(iter(floats), names[0])
    return names.index(chosen)


def _values(column: pl.Series, kind: str) -> np.ndarray:
    """The values of a column, as an input of ``kind`` takes them; a missing text is empty."""
    if kind in _FLOATS:
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(_DTYPES[kind])
    if kind == "tensor(string)":
        return column.cast(pl.String).fill_null("").to_numpy().astype(object)
    if column.null_count() or (column.dtype.is_float() and column.is_nan().any()):
        raise RequestError(
            f"{column.name} is missing, and the ONNX model takes {kind}, which has no missing value",
            hint="send a value, or fill it in the feature view",
            where=column.name,
        )
    return column.to_numpy().astype(_DTYPES[kind])
