"""How fitted models become bytes: the library's own format, else skops, else a pickle.

Every format writes equal bytes for equal models, in any process. Reading a pickle runs code, so only
bytes that our own store kept are unpickled (``trusted``).
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Protocol

from nenrin.core.errors import MissingExtraError, RefusedError
from nenrin.training import pickles
from nenrin.training.columns import ColumnSpec
from nenrin.training.declare import Predictor
from nenrin.training.runtimes.catboosting import CatBoost
from nenrin.training.runtimes.container import Container
from nenrin.training.runtimes.mlflow import Mlflow
from nenrin.training.runtimes.onnx import Onnx
from nenrin.training.runtimes.remote import Remote
from nenrin.training.runtimes.torching import Torch
from nenrin.training.runtimes.xgboosting import XGBoost

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# What skops does not vouch for by itself: parts of scikit-learn's models that only hold data.
_VOUCHED = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)


class Format(Protocol):
    """One way of writing a kind of model.

    Attributes:
        name, library: what it is called, and what reads it.
        runs_code: whether reading it can run code.
        keeps_classes: whether a classifier read back knows what its classes are called.
    """

    name: str
    library: str
    runs_code: bool
    keeps_classes: bool

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Whether it writes this model."""
        ...

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The model as bytes, which can be read without the modules in the folder ``project``."""
        ...

    def loads(self, data: bytes) -> Any:
        """The model back; what predicts like it."""
        ...


class LightGBM:
    """LightGBM's text. It is read back as a ``Booster``, which predicts from plain numbers."""

    name = "lightgbm"
    library = "lightgbm"
    runs_code = False
    keeps_classes = False

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Boosters fitted on the container as it was given, with an objective of LightGBM's own."""
        booster = _booster(model)
        if booster is None:
            return False
        text = [list(column.vocabulary or ()) for column in columns if column.kind == "string"]
        objective = booster.dump_model(num_iteration=1).get("objective", "")
        return (
            booster.num_feature() == len(columns)
            and (booster.pandas_categorical or []) == (text if container == "pandas" else [])
            and (container != "polars" or not text)
            and objective.split(" ")[0] not in ("", "custom")
            and booster.num_model_per_iteration() == 1
        )

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The text of the best iteration, as the model itself would predict."""
        del project
        text: str = getattr(model, "booster_", model).model_to_string()
        return text.encode()

    def loads(self, data: bytes) -> Any:
        """A ``lightgbm.Booster``."""
        try:
            import lightgbm
        except ModuleNotFoundError as error:
            raise MissingExtraError.of("lightgbm", "lightgbm") from error
        return lightgbm.Booster(model_str=data.decode())


class Skops:
    """skops' archive, with ids and times taken out, which would differ from process to process."""

    name = "skops"
    library = "skops"
    runs_code = False
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """scikit-learn's models made of nothing but types that skops or we vouch for."""
        del columns, container  # a skops archive predicts from any
        if not _is_of(model, "sklearn"):
            return False
        try:
            from skops.io import dumps, get_untrusted_types
        except ModuleNotFoundError:
            return False
        try:
            return _VOUCHED.issuperset(get_untrusted_types(data=dumps(model)))
        except Exception:  # noqa: BLE001 - skops cannot write it, in one way or another
            return False

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """A zip archive of a JSON description and arrays."""
        del project
        from skops.io import dumps

        return _settled(dumps(model))

    def loads(self, data: bytes) -> Any:
        """The scikit-learn model."""
        try:
            from skops.io import get_untrusted_types, loads
        except ModuleNotFoundError as error:
            raise MissingExtraError.of("skops", "sklearn") from error
        strangers = get_untrusted_types(data=data)
        refused = [name for name in strangers if name not in _VOUCHED]
        if refused:
            raise RefusedError(
                f"the model file holds {', '.join(refused)}, which nobody vouches for",
                hint="write trust=True if you made the file",
            )
        return loads(data, trusted=strangers)


class Pickle:
    """cloudpickle: whatever it is, with the project's own functions and classes in it by value."""

    name = "pickle"
    library = "cloudpickle"
    runs_code = True
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Anything."""
        del model, columns, container
        return True

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """A pickle."""
        return pickles.dumps(model, project)

    def loads(self, data: bytes) -> Any:
        """What was pickled. Runs code."""
        return pickles.loads(data)


FORMATS: tuple[Format, ...] = (
    LightGBM(),
    XGBoost(),
    CatBoost(),
    Onnx(),
    Torch(),
    Mlflow(),
    Container(),
    Remote(),
    Skops(),
    Pickle(),
)


def format_for(
    model: Any, columns: tuple[ColumnSpec, ...], container: str, *, classes: bool = False
) -> Format:
    """The first format that takes the model, and keeps the names of its ``classes`` if they matter."""
    formats = [each for each in FORMATS if each.keeps_classes or not classes]
    return next(each for each in formats if each.takes(model, columns, container))


def format_named(name: str) -> Format:
    """The format that a model's header names.

    Raises:
        RefusedError: no format has that name: the model was written by a newer nenrin.
    """
    for each in FORMATS:
        if each.name == name:
            return each
    raise RefusedError(
        f"the model is written as {name!r}, which this nenrin does not read",
        hint="install the version of nenrin that wrote it",
    )


def fitted_names(model: Any) -> list[str] | None:
    """The columns that a model says it was fitted on; ``None`` where it does not know names."""
    booster = _booster(model)
    if booster is None:
        names = getattr(model, "feature_names_in_", None)
        return None if names is None else [str(name) for name in names]
    fitted: list[str] = booster.feature_name()
    # So LightGBM calls the columns of a matrix.
    return None if fitted == [f"Column_{place}" for place in range(len(fitted))] else fitted


def _booster(model: Any) -> Any:
    """LightGBM's booster in a fitted model of LightGBM's; ``None`` of anything else."""
    booster = getattr(model, "booster_", model)
    return booster if _is_of(booster, "lightgbm") and hasattr(booster, "feature_name") else None


def wrapped(model: Any) -> Any:
    """What of a model is written: of an ``nr.predictor`` with ``save=``, its bytes and functions."""
    if isinstance(model, Predictor) and model.save is not None:
        return _Saved(model.save(model.object), model.predict, model.load)
    return model


class _Saved:
    """An ``nr.predictor`` at rest."""

    def __init__(self, data: bytes, predict: Any, load: Any) -> None:
        self.data = data
        self.predict = predict
        self.load = load


def unwrapped(model: Any) -> Any:
    """The inverse of :func:`wrapped`."""
    if isinstance(model, _Saved):
        return Predictor(model.load(model.data), model.predict)
    return model


def _is_of(model: Any, library: str) -> bool:
    return type(model).__module__.partition(".")[0] == library


def _settled(archive: bytes) -> bytes:
    """A skops archive whose ids count from 1 in the order of its description."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read("schema.json"))
        files = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    ids: dict[int, int] = {}
    names: dict[str, str] = {}
    _renumber(schema, ids, names)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for old, new in names.items():
            target.writestr(zipfile.ZipInfo(new, _ZIP_EPOCH), files[old])
        target.writestr(
            zipfile.ZipInfo("schema.json", _ZIP_EPOCH), json.dumps(schema, sort_keys=True)
        )
    return out.getvalue()


def _renumber(node: Any, ids: dict[int, int], names: dict[str, str]) -> None:
    """Give every ``__id__`` and ``file`` beneath ``node`` its number, in place."""
    if isinstance(node, list):
        for child in node:
            _renumber(child, ids, names)
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        # Whether two equal plain values are one object differs from process to process.
        old = node["__id__"] if node.get("__loader__") != "JsonNode" else -len(ids) - 1
        node["__id__"] = ids.setdefault(old, len(ids) + 1)
    if isinstance(node.get("file"), str):
        suffix = node["file"].rpartition(".")[2]
        node["file"] = names.setdefault(node["file"], f"{len(names) + 1}.{suffix}")
    for child in node.values():
        _renumber(child, ids, names)
