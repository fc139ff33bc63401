"""Trees of scikit-learn's ensembles, read from their fitted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from nenrin.training.compiling.boosters import classes_asked
from nenrin.training.compiling.forest import Categories, Forest, Link, NotCompiledError, Tree

_FORESTS = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
)
_LINKS: dict[str, Link] = {
    "HalfBinomialLoss": "sigmoid",
    "HalfMultinomialLoss": "softmax",
    "HalfSquaredError": "identity",
    "AbsoluteError": "identity",
    "PinballLoss": "identity",
    "HuberLoss": "identity",
    "HalfPoissonLoss": "exp",
    "HalfGammaLoss": "exp",
}


def scikit_forest(model: Any, positive: Any) -> Forest:
    """The forest of a fitted ensemble.

    Args:
        model: of scikit-learn.
        positive: of a classifier, the class that is asked for.

    Raises:
        NotCompiledError: another model, or a loss that is not known here.
    """
    name = type(model).__name__
    if name in _FORESTS:
        return _averaged(model, positive)
    if name.startswith("HistGradientBoosting"):
        return _histograms(model, positive)
    if name.startswith("GradientBoosting"):
        return _gradients(model, positive)
    raise NotCompiledError(f"a model of the kind {name}")


def _averaged(model: Any, positive: Any) -> Forest:
    """Random forests, extra trees, and one tree: the mean of the leaves."""
    members = getattr(model, "estimators_", [model])
    if getattr(model, "n_outputs_", 1) != 1:
        raise NotCompiledError("several outputs")
    column = classes_asked(model.classes_, positive) if hasattr(model, "classes_") else 0
    return Forest(
        trees=[_tree(each.tree_, each.tree_.value[:, 0, column]) for each in members],
        base=np.zeros(1),
        features=model.n_features_in_,
        divisor=float(len(members)),
        single_features=True,
    )


def _gradients(model: Any, positive: Any) -> Forest:
    groups = model.estimators_.shape[1]
    rate, width = model.learning_rate, model.n_features_in_
    begin = np.asarray(model._raw_predict_init(np.zeros((1, width), np.float32))[0], np.float64)
    if model.init_ != "zero" and type(model.init_).__module__ != "sklearn.dummy":
        raise NotCompiledError(f"GradientBoosting that begins with {type(model.init_).__name__}")
    members = [(each, group) for row in model.estimators_ for group, each in enumerate(row)]
    return Forest(
        trees=[_tree(m.tree_, rate * m.tree_.value[:, 0, 0], group) for m, group in members],
        base=begin,
        features=width,
        link=_link(model._loss),
        single_features=True,
        answer=_answer(model, positive, groups),
    )


def _histograms(model: Any, positive: Any) -> Forest:
    known, places = model._bin_mapper.make_known_categories_bitsets()
    members = [(each, group) for row in model._predictors for group, each in enumerate(row)]
    base = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    return Forest(
        trees=[_histogram(member, known, places, group) for member, group in members],
        base=base,
        features=model._n_features,
        link=_link(model._loss),
        answer=_answer(model, positive, len(base)),
    )


def _link(loss: Any) -> Link:
    name = type(loss).__name__
    if name not in _LINKS:
        raise NotCompiledError(f"scikit-learn's {name}")
    return _LINKS[name]


def _answer(model: Any, positive: Any, groups: int) -> int:
    """Which sum is asked for: of two classes there is one, of the second."""
    place = classes_asked(model.classes_, positive) if hasattr(model, "classes_") else 0
    if groups == 1 and hasattr(model, "classes_") and place != 1:
        raise NotCompiledError("the first of two classes")
    return place if groups > 1 else 0


def _tree(tree: Any, value: np.ndarray, group: int = 0) -> Tree:
    left = np.asarray(tree.children_left, np.int64)
    return Tree(
        left=left,
        right=np.asarray(tree.children_right, np.int64),
        feature=np.asarray(tree.feature, np.int64),
        threshold=np.asarray(tree.threshold, np.float64),
        nan_left=np.asarray(tree.missing_go_to_left, bool),
        value=np.where(left < 0, value, 0.0),
        group=group,
    )


def _histogram(predictor: Any, known: np.ndarray, places: np.ndarray, group: int) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    found = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        nan_left = bool(nodes["missing_go_to_left"][node])
        left = _bits(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        seen = _bits(known[places[nodes["feature_idx"][node]]])
        # a category that training has not seen goes where a missing value goes
        found[int(node)] = Categories(left | (~seen & nan_left), outside=nan_left)
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        nan_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        categories=found,
        group=group,
    )


def _bits(words: np.ndarray) -> np.ndarray:
    unpacked = np.unpackbits(np.ascontiguousarray(words, "<u4").view(np.uint8), bitorder="little")
    return unpacked.astype(bool)
