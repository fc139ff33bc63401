"""The compiled form of a model: arrays that travel by digest, and the C function that walks them.

The arrays are the same on every machine. The function is compiled once a machine, of one small source, and
travels beside them for machines without a compiler (:mod:`nenrin.training.compiling.kernel`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import IntegrityError
from nenrin.training.compiling.before import Feature, Number, Table
from nenrin.training.compiling.forest import LINKS, NODE, TEST, Packed, pack
from nenrin.training.compiling.reading import Readout

FORM = 3
"""Counts up when a form that is read back would answer otherwise, or more models have one."""

REFUSES_NAN, REFUSES_INFINITE = 1, 2

_STEP = np.dtype(
    [("fill", "f8"), ("minus", "f8"), ("over", "f8"), ("at", "i8")]
    + [(name, "i4") for name in ("kind", "from", "to", "width", "places", "reserved")]
)
_ARRAYS = {
    "nodes": NODE,
    "values": np.dtype("f8"),
    "words": np.dtype("u4"),
    "roots": np.dtype("i4"),
    "order": np.dtype("i4"),
    "depths": np.dtype("i4"),
    "groups": np.dtype("i4"),
    "tests": TEST,
    "ends": np.dtype("i4"),
    "leaves": np.dtype("f8"),
    "steps": _STEP,
    "table": np.dtype("f8"),
    "base": np.dtype("f8"),
    "refused": np.dtype("u1"),
}
_COUNTS = ("columns", "features", "trees", "lanes", "steps_count", "groups_count")
_FLAGS = ("link", "answer", "single_sums", "single_features", "plain", "refusing")


class _Model(ctypes.Structure):
    """``model`` of walk.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, ctypes.c_int64) for name in _COUNTS),
        ("divisor", ctypes.c_double),
        ("slope", ctypes.c_double),
        *((name, ctypes.c_int32) for name in _FLAGS),
    )


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled model at rest: ``form`` (:data:`FORM`), arrays by name, and the numbers beside them."""

    form: int
    arrays: dict[str, bytes]
    numbers: dict[str, float]

    def dumps(self) -> bytes:
        """Its bytes; equal models have equal bytes."""
        return msgspec.msgpack.encode(self)


def form_of(readout: Readout, refused: np.ndarray) -> Form:
    """What was read of a model, laid out.

    Args:
        readout: its features and trees.
        refused: uint8 (columns,), what the original refuses in each column: ``REFUSES_NAN``,
            ``REFUSES_INFINITE``.

    Raises:
        NotCompiledError: it is too large.
    """
    forest, packed = readout.forest, pack(readout.forest)
    steps, table = _steps(readout.features, len(refused))
    arrays = {
        "nodes": packed.nodes,
        "values": packed.values,
        "words": packed.words,
        "roots": packed.roots,
        "depths": packed.depths,
        "order": packed.order,
        "groups": packed.groups,
        "tests": packed.tests,
        "ends": packed.ends,
        "leaves": packed.leaves,
        "steps": steps,
        "table": table,
        "base": forest.base,
        "refused": refused,
    }
    return Form(
        form=FORM,
        arrays={
            name: np.ascontiguousarray(each, _ARRAYS[name]).tobytes()
            for name, each in arrays.items()
        },
        numbers={
            name: float(number)
            for name, number in _numbers(readout, packed, len(steps), refused).items()
        },
    )


def _numbers(readout: Readout, packed: Packed, steps: int, refused: np.ndarray) -> dict[str, float]:
    forest = readout.forest
    return {
        "columns": len(refused),
        "features": forest.features,
        "trees": len(forest.trees),
        "lanes": len(packed.roots),
        "steps_count": steps,
        "groups_count": len(forest.base),
        "divisor": forest.divisor,
        "slope": forest.slope,
        "link": LINKS.index(forest.link),
        "answer": forest.answer,
        "single_sums": forest.single,
        "single_features": forest.single_features,
        "plain": packed.plain,
        "refusing": bool(refused.any()),
    }


def _steps(features: Sequence[Feature], columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The features as steps, and the values of all tables; no steps where features are the columns."""
    if features == tuple(Number(place) for place in range(columns)):
        return np.zeros(0, _STEP), np.zeros(0)
    steps, tables, to, at = [], [np.zeros(0)], 0, 0
    for (is_table, source), run in groupby(
        features, lambda feature: (isinstance(feature, Table), feature.source)
    ):
        each = list(run)
        if is_table:
            block = np.column_stack([one.values for one in each if isinstance(one, Table)])
            places = len(block) - 1
            steps.append((0.0, 0.0, 1.0, at, 1, source, to, len(each), places, 0))
            tables.append(block.ravel())
            at += block.size
        for place, one in enumerate(each):
            if isinstance(one, Number):
                whole = (one.fill, one.minus, one.over, 0, 0, source, to + place, 1, 0, 0)
                steps.append(whole)
        to += len(each)
    return np.array(steps, _STEP), np.concatenate(tables)


class Compiled:
    """A compiled model, ready to answer. Safe to ask from several threads.

    Args:
        data: the bytes of a :class:`Form`.
        library: the C function's library, loaded.

    Raises:
        IntegrityError: the bytes are of no form that this nenrin reads.
    """

    def __init__(self, data: bytes, library: ctypes.CDLL) -> None:
        try:
            form = msgspec.msgpack.decode(data, type=Form)
        except (msgspec.DecodeError, msgspec.ValidationError):
            form = Form(form=0, arrays={}, numbers={})
        if form.form != FORM:
            raise IntegrityError(
                "this compiled form is not of this nenrin",
                hint="the original serves; nenrin run compiles it anew",
            )
        self.columns = int(form.numbers["columns"])
        self._library = library  # what the pointers lead to lives as long as this does
        self._arrays = {
            name: np.frombuffer(form.arrays[name], dtype) for name, dtype in _ARRAYS.items()
        }
        given: dict[str, Any] = {
            name: array.ctypes.data if array.size else None for name, array in self._arrays.items()
        }
        given |= {name: int(form.numbers[name]) for name in (*_COUNTS, *_FLAGS)}
        given |= {name: form.numbers[name] for name in ("divisor", "slope")}
        self._model = _Model(**given)
        self._at = ctypes.byref(self._model)

    def predict(self, block: np.ndarray) -> np.ndarray | None:
        """Answers for a block of rows, in one call that lets go of the interpreter's lock.

        Args:
            block: float64 (n, columns) in C order, as ``nenrin.training.containers.to_numpy`` has them.

        Returns:
            float64 (n,); None where the block holds what the original refuses: it has the word then.
        """
        n = len(block)
        answers = np.empty(n)
        if block.shape != (n, self.columns) or not block.flags.c_contiguous:
            raise ValueError(f"a block of shape {block.shape} for {self.columns} columns")
        done = self._library.nenrin_walk(self._at, block.ctypes.data, n, answers.ctypes.data)
        if done < 0:
            raise MemoryError
        return answers if done else None
