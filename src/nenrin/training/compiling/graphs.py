"""The compiled form of a model without trees: an ONNX graph that onnxruntime asks."""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.errors import IntegrityError
from nenrin.training.compiling.compiled import FORM, REFUSES_INFINITE, REFUSES_NAN, Form
from nenrin.training.compiling.converting import ANSWER, ROWS
from nenrin.training.runtimes.onnx import session


def graph_form(graph: bytes, refused: np.ndarray) -> Form:
    """A graph of :func:`~nenrin.training.compiling.converting.converted`, with what its original refuses.

    Args:
        graph: an ONNX model.
        refused: uint8 (columns,), as :func:`~nenrin.training.compiling.compiled.form_of` takes it.
    """
    return Form(form=FORM, arrays={"graph": graph, "refused": refused.tobytes()}, numbers={})


class Graph:
    """A compiled model that onnxruntime answers for. Safe to ask from several threads.

    Args:
        data: the bytes of a :class:`Form` that :func:`graph_form` made.

    Raises:
        IntegrityError: the bytes are of no form that this nenrin reads.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, data: bytes) -> None:
        try:
            form = msgspec.msgpack.decode(data, type=Form)
            graph, refused = form.arrays["graph"], np.frombuffer(form.arrays["refused"], np.uint8)
            self._session = session(graph)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise IntegrityError(
                "this compiled form is not of this nenrin",
                hint="the original serves; nenrin run compiles it anew",
            ) from error
        self.columns = len(refused)
        self._no_nan = (refused & REFUSES_NAN) > 0
        self._no_infinite = (refused & REFUSES_INFINITE) > 0

    def predict(self, block: np.ndarray) -> np.ndarray | None:
        """Answers for a block of rows.

        Args:
            block: float64 (n, columns) in C order, as ``nenrin.training.containers.to_numpy`` has them.

        Returns:
            float64 (n,); None where the block holds what the original refuses, or the graph has no number
            for a row, as where values overflow: the original has the word then.
        """
        if not np.isfinite(block).all() and (
            (np.isnan(block).any(axis=0) & self._no_nan).any()
            or (np.isinf(block).any(axis=0) & self._no_infinite).any()
        ):
            return None
        (answers,) = self._session.run([ANSWER], {ROWS: block})
        return None if np.isnan(answers).any() else answers
