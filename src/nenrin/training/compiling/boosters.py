"""Trees of LightGBM and XGBoost, read from their own files' words.

LightGBM: ``src/io/tree.cpp`` (``Tree::ToString``) and ``include/LightGBM/tree.h`` (``NumericalDecision``,
``CategoricalDecision``). XGBoost: ``doc/tutorials/saving_model.rst`` and ``src/predictor``.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nenrin.training.compiling.forest import Categories, Forest, Link, NotCompiledError, Tree

_ZERO = float(np.float32(1e-35))
_LIGHTGBM: Mapping[str, Link] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "multiclass": "softmax",
}
_XGBOOST: Mapping[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "reg:squarederror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "multi:softprob": "softmax",
}


def lightgbm_forest(text: str, answer: int = 0) -> Forest:
    """The forest of a booster's text (``model_to_string``).

    Args:
        text: as LightGBM writes it.
        answer: of several classes, the one that is asked for.

    Raises:
        NotCompiledError: an objective or a kind of tree that is not known here.
    """
    head, *blocks = text.split("end of trees", maxsplit=1)[0].split("\nTree=")
    said = _words(head)
    objective, *options = said.get("objective", "").split(" ")
    if objective not in _LIGHTGBM or "sqrt" in options:
        raise NotCompiledError(f"LightGBM's objective {said.get('objective', 'none')!r}")
    if "average_output" in head.split("\n"):
        raise NotCompiledError("LightGBM's random forest")
    groups = int(said["num_tree_per_iteration"])
    slopes = [float(each[8:]) for each in options if each.startswith("sigmoid:")]
    trees = [_lightgbm_tree(_words(block), place % groups) for place, block in enumerate(blocks)]
    return Forest(
        trees=trees,
        base=np.zeros(groups),
        features=int(said["max_feature_idx"]) + 1,
        link=_LIGHTGBM[objective],
        slope=slopes[0] if slopes else 1.0,
        answer=answer if groups > 1 else 0,
    )


def _words(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.split("\n") if "=" in line)


def _lightgbm_tree(said: Mapping[str, str], group: int) -> Tree:
    if said.get("is_linear", "0") != "0":
        raise NotCompiledError("LightGBM's linear trees")
    leaves = int(said["num_leaves"])
    inner = leaves - 1

    def array(name: str, size: int, dtype: type) -> np.ndarray:
        """The numbers of a line, 0 for the leaves that follow the inner nodes."""
        numbers: np.ndarray = np.zeros(inner + leaves, dtype)
        numbers[:size] = [dtype(each) for each in said.get(name, "").split()[:size]]
        return numbers

    kind = array("decision_type", inner, int)
    threshold = array("threshold", inner, float)
    missing, numeric = kind >> 2 & 3, kind & 1 == 0
    threshold = np.where(numeric, _past_zero(threshold), threshold)
    # a missing value of a feature without any in training is a zero
    nan_left = np.where(missing == 0, threshold >= 0, kind & 2 != 0)
    value = np.zeros(inner + leaves)
    value[inner:] = [float(each) for each in said["leaf_value"].split()]
    zero = (missing == 1) & numeric
    return Tree(
        left=_kids(array("left_child", inner, int), inner),
        right=_kids(array("right_child", inner, int), inner),
        feature=array("split_feature", inner, int),
        threshold=threshold,
        nan_left=nan_left & numeric,
        value=value,
        categories=_lightgbm_categories(said, kind, threshold),
        zero_missing=zero if zero.any() else None,
        group=group,
    )


def _past_zero(threshold: np.ndarray) -> np.ndarray:
    """Thresholds that take what LightGBM holds for zero (``kZeroThreshold``) for zero."""
    near = np.abs(threshold) <= _ZERO
    return np.where(near, np.where(threshold >= 0, _ZERO, np.nextafter(-_ZERO, -1)), threshold)


def _kids(kids: np.ndarray, inner: int) -> np.ndarray:
    """Places of children: the leaf ``~i`` stands behind the inner nodes; leaves have none."""
    placed = np.where(kids < 0, inner + ~kids, kids)
    placed[inner:] = -1
    return placed


def _lightgbm_categories(
    said: Mapping[str, str], kind: np.ndarray, threshold: np.ndarray
) -> dict[int, Categories]:
    if said.get("num_cat", "0") == "0":
        return {}
    bounds = [int(each) for each in said["cat_boundaries"].split()]
    words = np.array([int(each) for each in said["cat_threshold"].split()], np.uint32)
    found = {}
    for node in np.flatnonzero(kind & 1):
        place = int(threshold[node])
        bits = np.unpackbits(
            words[bounds[place] : bounds[place + 1]].view(np.uint8), bitorder="little"
        )
        found[int(node)] = Categories(bits.astype(bool))
    return found


def xgboost_forest(raw: bytes, answer: int = 0) -> Forest:
    """The forest of a booster's JSON (``save_raw("json")``).

    Args:
        raw: as XGBoost writes it.
        answer: of several classes, the one that is asked for.

    Raises:
        NotCompiledError: an objective or a kind of tree that is not known here.
    """
    learner = json.loads(raw)["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in _XGBOOST or booster["name"] != "gbtree":
        raise NotCompiledError(f"XGBoost's {objective} with {booster['name']}")
    link, said = _XGBOOST[objective], learner["learner_model_param"]
    groups = max(1, int(said["num_class"]))
    if int(said.get("num_target", "1")) > 1:
        raise NotCompiledError("XGBoost with several targets")
    model = booster["model"]
    return Forest(
        trees=[
            _xgboost_tree(tree, group)
            for tree, group in zip(model["trees"], model["tree_info"], strict=True)
        ],
        base=_margins(said["base_score"], link, groups),
        features=int(said["num_feature"]),
        link=link,
        single=True,
        single_features=True,
        answer=answer if groups > 1 else 0,
    )


def _xgboost_tree(tree: Mapping[str, Any], group: int) -> Tree:
    if int(tree["tree_param"].get("size_leaf_vector", "1")) > 1:
        raise NotCompiledError("XGBoost's trees with vectors in their leaves")
    conditions = np.array(tree["split_conditions"], np.float32)
    left = np.array(tree["left_children"], np.int64)
    # below a threshold, among numbers of single precision, is at most the one before it
    before = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    return Tree(
        left=left,
        right=np.array(tree["right_children"], np.int64),
        feature=np.array(tree["split_indices"], np.int64),
        threshold=before,
        nan_left=np.array(tree["default_left"], bool),
        value=np.where(left < 0, conditions, np.float32(0)).astype(np.float64),
        categories=_xgboost_categories(tree),
        group=group,
    )


def _xgboost_categories(tree: Mapping[str, Any]) -> dict[int, Categories]:
    found = {}
    parts = zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    )
    for node, start, size in parts:
        right = np.array(tree["categories"][start : start + size], np.int64)
        left = np.ones(right.max(initial=0) // 32 * 32 + 32, dtype=bool)
        left[right] = False
        found[int(node)] = Categories(left, outside=True)
    return found


def _margins(said: str, link: Link, groups: int) -> np.ndarray:
    """What sums begin with: the base score before the link, in XGBoost's own precision."""
    scores = [np.float32(each) for each in said.strip("[]").split(",")]
    scores = scores * groups if len(scores) == 1 else scores
    if link == "sigmoid":
        scores = [np.float32(-_log(float(np.float32(1) / each - np.float32(1)))) for each in scores]
    elif link == "exp":
        scores = [np.float32(_log(float(each))) for each in scores]
    return np.array(scores, np.float64)


def _log(x: float) -> float:
    """The C library's logarithm of single precision: numpy's differs in the last bit."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.logf.restype, library.logf.argtypes = ctypes.c_float, (ctypes.c_float,)
    found: float = library.logf(x)
    return found


def classes_asked(classes: Sequence[Any], positive: Any) -> int:
    """The place of the class that is asked for.

    Raises:
        NotCompiledError: the model does not know it.
    """
    places = [place for place, each in enumerate(classes) if each == positive]
    if not places:
        raise NotCompiledError(f"a classifier without the class {positive!r}")
    return places[0]
