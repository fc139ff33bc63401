"""Trees as every library's reader gives them, and as the C function walks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

LANES = 8
LINKS = ("identity", "sigmoid", "exp", "softmax")
Link = Literal["identity", "sigmoid", "exp", "softmax"]

NAN_LEFT, CATEGORICAL, OUTSIDE_LEFT, ZERO_MISSING = 1 << 30, 1 << 29, 1 << 28, 1 << 27
NODE = np.dtype([("threshold", "f8"), ("kid", "i4"), ("split", "i4")])
TEST = np.dtype([("threshold", "f8"), ("left", "i8"), ("view", "i8")])

_MOST_NODES = 5_000_000
_MOST_FEATURES = 1 << 24
_MOST_LEAVES = 64  # of a tree that is sifted: bits of a word


class NotCompiledError(Exception):
    """The model, or a part of it, is not known here: its original serves. Says what it is."""


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories that a split sends left.

    Attributes:
        left: bool (n,), by category from 0.
        outside: whether others go left too.
    """

    left: np.ndarray
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of n nodes, the root first. A value goes left where it is at most the threshold.

    Attributes:
        left, right: int (n,), places of the children; negative in a leaf.
        feature: int (n,).
        threshold: float64 (n,).
        nan_left: bool (n,), where a missing value goes.
        value: float64 (n,), of leaves.
        categories: of the splits by categories, by node.
        zero_missing: bool (n,): nodes for which zero is a missing value; None: none.
        group: which of the sums it adds to.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    nan_left: np.ndarray
    value: np.ndarray
    categories: Mapping[int, Categories] = field(default_factory=dict)
    zero_missing: np.ndarray | None = None
    group: int = 0


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees whose leaves are added up, and what is made of the sums.

    Attributes:
        trees: in the order in which they are added up.
        base: float64 (groups,), what the sums begin with.
        features: how many columns the trees may look at.
        link: from sums to the answer.
        slope: of the sigmoid.
        divisor: of the sum.
        single: features, sums and link are of single precision, as XGBoost's; trees of scikit-learn look at
            features of single precision alone (``single_features``).
        answer: the sum that is asked for.
    """

    trees: Sequence[Tree]
    base: np.ndarray
    features: int
    link: Link = "identity"
    slope: float = 1.0
    divisor: float = 1.0
    single: bool = False
    single_features: bool = False
    answer: int = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """A forest's arrays, to be walked, and to be sifted if that may be.

    Attributes:
        roots, order: by lane, padded to whole groups of lanes.
        depths: by group of lanes.
        tests: of all trees (``TEST``); ``ends`` of each tree's.
        leaves: their values, from the left; empty where the forest is walked alone.
    """

    nodes: np.ndarray
    values: np.ndarray
    words: np.ndarray
    roots: np.ndarray
    depths: np.ndarray
    order: np.ndarray
    groups: np.ndarray
    plain: bool
    tests: np.ndarray
    ends: np.ndarray
    leaves: np.ndarray


def pack(forest: Forest) -> Packed:
    """Lay a forest out: children side by side, trees of like depth in a group, leaves leading to themselves.

    Raises:
        NotCompiledError: there are no trees, or too many nodes.
    """
    size = sum(len(tree.left) for tree in forest.trees)
    if not 0 < size <= _MOST_NODES or forest.features >= _MOST_FEATURES:
        raise NotCompiledError(f"{len(forest.trees)} trees of {size} nodes together")
    nodes, values = np.zeros(size, NODE), np.zeros(size)
    words: list[np.ndarray] = []
    roots, depths, start = [], [], 0
    for tree in forest.trees:
        end = start + len(tree.left)
        depths.append(_laid_out(tree, start, nodes[start:end], values[start:end], words))
        roots.append(start)
        start = end
    by_depth = np.argsort(depths, kind="stable").astype(np.int32)
    short = -len(roots) % LANES
    # What fills the last group walks the deepest tree once more, into a place that is not added up.
    lanes = np.concatenate([by_depth, np.full(short, by_depth[-1], np.int32)])
    deepest = np.asarray(depths, np.int32)[lanes].reshape(-1, LANES).max(axis=1)
    plain = not words and not any(tree.zero_missing is not None for tree in forest.trees)
    tests, ends, leaves = _sifted(forest.trees if plain else ())
    return Packed(
        nodes=nodes,
        values=values,
        words=np.concatenate(words) if words else np.zeros(0, np.uint32),
        roots=np.asarray(roots, np.int32)[lanes],
        depths=deepest,
        order=np.concatenate([by_depth, len(roots) + np.arange(short, dtype=np.int32)]),
        groups=np.asarray([tree.group for tree in forest.trees], np.int32),
        plain=plain,
        tests=tests,
        ends=ends,
        leaves=leaves,
    )


def _laid_out(
    tree: Tree, start: int, nodes: np.ndarray, values: np.ndarray, words: list[np.ndarray]
) -> int:
    """Write one tree into its part of the arrays; how deep it is."""
    inner = np.flatnonzero(tree.left >= 0)
    place = np.zeros(len(tree.left), np.int64)
    kids = 1 + 2 * np.arange(len(inner))
    place[tree.left[inner]], place[tree.right[inner]] = kids, kids + 1
    if len(kids) and kids[-1] + 2 != len(place):
        raise NotCompiledError("a tree with nodes that nothing leads to")
    nodes["threshold"], nodes["kid"] = np.nan, start + np.arange(len(place))
    nodes["split"] = NAN_LEFT
    at = place[inner]
    split = tree.feature[inner].astype(np.int64) | np.where(tree.nan_left[inner], NAN_LEFT, 0)
    if tree.zero_missing is not None:
        split |= np.where(tree.zero_missing[inner], ZERO_MISSING, 0)
    nodes["threshold"][at], nodes["kid"][at] = tree.threshold[inner], start + kids
    nodes["split"][at] = split
    values[place] = tree.value
    for node, categories in tree.categories.items():
        nodes["threshold"][place[node]] = sum(len(each) for each in words)
        nodes["split"][place[node]] |= CATEGORICAL | (OUTSIDE_LEFT if categories.outside else 0)
        words.append(_as_words(categories.left))
    return _depth(tree)


def _sifted(trees: Sequence[Tree]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tests, their ends and leaves, tree by tree; nothing where a tree has too many leaves."""
    if any((tree.left < 0).sum() > _MOST_LEAVES for tree in trees):
        trees = ()
    parts, leaves = [np.zeros(0, TEST)], [np.zeros(0)]
    for tree in trees:
        masks, order = _from_the_left(tree)
        inner = np.flatnonzero(tree.left >= 0)
        tests = np.zeros(len(inner), TEST)
        tests["threshold"] = tree.threshold[inner]
        tests["left"] = masks[tree.left[inner]].view(np.int64)
        tests["view"] = 2 * tree.feature[inner].astype(np.int64) + tree.nan_left[inner]
        parts.append(tests)
        leaves.append(tree.value[order])
    ends = np.cumsum([len(part) for part in parts[1:]], dtype=np.int32)
    return np.concatenate(parts), ends, np.concatenate(leaves)


def _from_the_left(tree: Tree) -> tuple[np.ndarray, list[int]]:
    """The leaves below each node, a bit each, and the leaves' nodes; both from the left."""
    masks, waiting = np.zeros(len(tree.left), np.uint64), [(0, False)]
    order: list[int] = []
    while waiting:
        node, seen = waiting.pop()
        left, right = tree.left[node], tree.right[node]
        if left < 0:
            masks[node] = 1 << len(order)
            order.append(node)
        elif seen:
            masks[node] = masks[left] | masks[right]
        else:
            waiting += [(node, True), (right, False), (left, False)]
    return masks, order


def _as_words(left: np.ndarray) -> np.ndarray:
    """How many categories there are, and a bit for each."""
    padded = np.zeros(-(-len(left) // 32) * 32, dtype=bool)
    padded[: len(left)] = left
    bits = np.packbits(padded, bitorder="little").view("<u4")
    return np.concatenate([np.array([len(left)], np.uint32), bits.astype(np.uint32)])


def _depth(tree: Tree) -> int:
    depth, level = 0, np.zeros(1, np.int64)
    while True:
        level = level[tree.left[level] >= 0]
        if len(level) == 0:
            return depth
        depth += 1
        level = np.concatenate([tree.left[level], tree.right[level]])
        if depth > len(tree.left):
            raise NotCompiledError("a tree that leads back to itself")
