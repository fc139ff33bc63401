"""From a model without trees to an ONNX graph in double precision: what stands before it, and the model.

What :mod:`nenrin.training.compiling.before` knows (imputers, scalers, encoders) is written here, so that a
text is its place in the training's vocabulary, as everywhere; the rest is skl2onnx's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nenrin.core.errors import MissingExtraError
from nenrin.training.artefact import Artefact
from nenrin.training.compiling.before import Feature, Number, Table, Texts, columns, through
from nenrin.training.compiling.boosters import classes_asked
from nenrin.training.compiling.forest import NotCompiledError
from nenrin.training.declare import Predictor
from nenrin.training.runtimes.onnx import session

ROWS, ANSWER = "rows", "answer"

_FEATURES = "features"
# Models that keep their rows: onnxruntime compares with all of them, and took two to six times as long.
_SLOWER = ("GaussianProcess", "KNeighbors", "RadiusNeighbors")
_MOST_VALUES = 1 << 22


def converted(artefact: Artefact) -> bytes:
    """An ONNX model that takes :data:`ROWS`, float64 (n, columns), and gives :data:`ANSWER`, float64 (n,).

    Raises:
        NotCompiledError: something in the artefact is not known here, or to skl2onnx; says what.
        MissingExtraError: skl2onnx is not installed.
    """
    features, model = _split(artefact)
    place = None
    if artefact.header.task == "binary" and hasattr(model, "predict_proba"):
        positive = 1 if artefact.header.positive is None else artefact.header.positive
        place = classes_asked(model.classes_, positive)
    elif hasattr(model, "classes_"):
        raise NotCompiledError("a classifier that is asked for its classes")
    graph = _Graph()
    try:
        made = _made(graph, features, len(artefact.header.columns))
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error.name or "onnx", "compile") from error
    written = _model(model, len(features), classes=place is not None)
    return _joined(graph, made, written, place)


def _split(artefact: Artefact) -> tuple[list[Feature], Any]:
    """The features as far as they are known here, and the model with the steps before it that are not."""
    header, model = artefact.header, artefact.model
    if isinstance(model, Predictor):
        raise NotCompiledError("an nr.predictor, whose functions are yours")
    if type(model).__module__.partition(".")[0] != "sklearn":
        raise NotCompiledError(f"a model of {type(model).__module__.partition('.')[0]}")
    features = columns(header.columns, header.container)
    while type(model).__name__ == "Pipeline":
        first, rest = model.steps[0][1], model.steps[1:]
        if not rest:
            model = first
            continue
        try:
            features = through(first, features)
        except NotCompiledError:
            if any(isinstance(feature, Texts) for feature in features):
                raise
            break
        model = model[1:]
    if any(isinstance(feature, Texts) for feature in features):
        raise NotCompiledError("texts that nothing encodes")
    last = type(model[-1] if type(model).__name__ == "Pipeline" else model).__name__
    if last.startswith(_SLOWER):
        raise NotCompiledError(f"a {last}, which ONNX answers slower")
    return features, model


def _model(model: Any, features: int, *, classes: bool) -> Any:
    """The model as skl2onnx writes it: in double precision, or in single where it has no other."""
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(error.name or "skl2onnx", "compile") from error
    options = {id(model): {"zipmap": False}} if classes else None
    why = ""
    for kind in (DoubleTensorType, FloatTensorType):
        given = [(_FEATURES, kind([None, features]))]
        try:
            graph = to_onnx(model, initial_types=given, options=options)
            session(graph.SerializeToString())
        except Exception as error:  # noqa: BLE001 - it raises whatever it comes upon
            why = why or f"{type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            return graph
    raise NotCompiledError(f"a {type(model).__name__} that ONNX does not take: {why}")


@dataclass(slots=True)
class _Graph:
    """A graph that is being written. Each step gives the name of what it makes."""

    nodes: list[Any] = field(default_factory=list)
    arrays: list[Any] = field(default_factory=list)

    def step(self, kind: str, *given: str | np.ndarray, name: str = "", **said: Any) -> str:
        """Add a node of a kind of ONNX, over what others made and over constants."""
        from onnx import helper

        names = [each if isinstance(each, str) else self._array(each) for each in given]
        made = name or f"nenrin/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [made], **said))
        return made

    def _array(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"nenrin/array/{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name


def _made(graph: _Graph, features: Sequence[Feature], width: int) -> str:
    """The features, made of a block of rows of ``width`` columns."""
    numbers = [(at, each) for at, each in enumerate(features) if isinstance(each, Number)]
    tables = [(at, each) for at, each in enumerate(features) if isinstance(each, Table)]
    made = []
    if numbers:
        made.append(_numbers(graph, [each for _, each in numbers], width))
    if tables:
        made.append(_looked_up(graph, [each for _, each in tables]))
    whole = made[0] if len(made) == 1 else graph.step("Concat", *made, axis=1)
    return _ordered(graph, whole, [at for at, _ in [*numbers, *tables]])


def _ordered(graph: _Graph, whole: str, places: Sequence[int]) -> str:
    """The columns that stand in any order, each at its place."""
    order = np.argsort(places)
    plain = np.array_equal(order, np.arange(len(order)))
    return whole if plain else graph.step("Gather", whole, order, axis=1)


def _numbers(graph: _Graph, features: Sequence[Number], width: int) -> str:
    """Columns of numbers: filled, shifted and scaled, in scikit-learn's order."""
    sources = np.array([each.source for each in features])
    fill = np.array([each.fill for each in features])
    minus = np.array([each.minus for each in features])
    over = np.array([each.over for each in features])
    plain = np.array_equal(sources, np.arange(width))
    made = ROWS if plain else graph.step("Gather", ROWS, sources, axis=1)
    if not np.isnan(fill).all():
        made = graph.step("Where", graph.step("IsNaN", made), fill, made)
    if minus.any():
        made = graph.step("Sub", made, minus)
    return graph.step("Div", made, over) if (over != 1).any() else made


def _looked_up(graph: _Graph, features: Sequence[Table]) -> str:
    """Columns of texts: one table for all, looked up by place in the vocabulary, the last for missing."""
    from onnx import TensorProto

    of: dict[int, list[int]] = {}
    for at, each in enumerate(features):
        of.setdefault(each.source, []).append(at)
    blocks = [np.column_stack([features[at].values for at in places]) for places in of.values()]
    widest = max(block.shape[1] for block in blocks)
    heights = np.array([len(block) for block in blocks])
    if int(heights.sum()) * widest > _MOST_VALUES:
        raise NotCompiledError("encoders over so many texts")
    table = np.concatenate([np.pad(b, ((0, 0), (0, widest - b.shape[1]))) for b in blocks])
    starts = np.cumsum(heights) - heights
    texts = graph.step("Gather", ROWS, np.array(list(of)), axis=1)
    last = (heights - 1).astype(np.float64)
    known = graph.step("Where", graph.step("IsNaN", texts), last, texts)
    lines = graph.step("Add", known, starts.astype(np.float64))
    lines = graph.step("Cast", lines, to=TensorProto.INT64)
    found = graph.step("Gather", table, lines, axis=0)  # (n, texts, widest)
    flat = graph.step("Reshape", found, np.array([-1, len(blocks) * widest]))
    held = [
        block * widest + at for block, places in enumerate(of.values()) for at in range(len(places))
    ]
    order = np.argsort([at for places in of.values() for at in places])
    return graph.step("Gather", flat, np.array(held)[order], axis=1)


def _joined(graph: _Graph, made: str, model: Any, place: int | None) -> bytes:
    """Both in one, with the one answer that is asked for; what else the model says is left out."""
    from onnx import TensorProto, helper

    given = model.graph.input[0]
    graph.step("Cast", made, name=given.name, to=given.type.tensor_type.elem_type)
    answers = [each.name for each in model.graph.output]
    answer = "probabilities" if "probabilities" in answers else answers[-1]
    after = _Graph(arrays=graph.arrays)
    if place is not None:
        answer = after.step("Gather", answer, np.array([place]), name="nenrin/class", axis=1)
    answer = after.step("Cast", answer, name="nenrin/double", to=TensorProto.DOUBLE)
    after.step("Reshape", answer, np.array([-1]), name=ANSWER)
    nodes = _needed([*graph.nodes, *model.graph.node, *after.nodes])
    arrays = [*graph.arrays, *model.graph.initializer]
    read = {name for node in nodes for name in node.input}
    whole = helper.make_graph(
        nodes,
        "nenrin",
        [helper.make_tensor_value_info(ROWS, TensorProto.DOUBLE, [None, None])],
        [helper.make_tensor_value_info(ANSWER, TensorProto.DOUBLE, [None])],
        [array for array in arrays if array.name in read],
    )
    data: bytes = helper.make_model(
        whole,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        functions=model.functions,
    ).SerializeToString(deterministic=True)
    return data


def _needed(nodes: Sequence[Any]) -> list[Any]:
    """The nodes that the answer comes from, in their order; they stand behind what they need."""
    wanted, kept = {ANSWER}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
