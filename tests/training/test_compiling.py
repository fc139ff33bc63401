"""Compiled forms against their originals, and against a walk written down again in Python."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.errors import IntegrityError, RequestError
from nenrin.training.columns import RowEncoder
from nenrin.training.compiling.before import Number
from nenrin.training.compiling.blocks import BlockEncoder
from nenrin.training.compiling.compile import _asked
from nenrin.training.compiling.compiled import REFUSES_INFINITE, REFUSES_NAN, Compiled
from nenrin.training.compiling.forest import Categories, Forest, NotCompiledError, Tree, pack
from nenrin.training.compiling.parity import compare, refused_by
from nenrin.training.compiling.reading import Readout, read
from nenrin.training.containers import to_numpy
from nenrin.training.records import Records
from tests.training import forests


@pytest.mark.parametrize("name", forests.NAMES)
def test_every_kind_of_model_answers_the_same_compiled(name: str) -> None:
    pytest.importorskip("xgboost")
    artefact = forests.makers()[name]()
    specs = artefact.header.columns
    filled = name.startswith("gradients")
    rows = to_numpy(forests.columns(tuple(spec.name for spec in specs), filled=filled))
    readout, original = read(artefact), _asked(artefact)
    refused = refused_by(original, specs, rows)
    found = compare(
        forests.laid_out(readout, len(specs), refused),
        original,
        readout,
        specs,
        rows,
        classes=artefact.header.task == "binary",
        seed=3,
    )
    assert found.refusal == ""
    assert (found.rows, found.flips) == (forests.ROWS, 0)
    assert found.difference <= 1e-12
    assert found.rank == pytest.approx(1)
    assert found.edges > 20
    assert found.left <= sum(9 for each in refused if each)


@pytest.mark.parametrize("name", ["histograms", "xgboost"])
def test_a_threshold_that_is_off_by_one_bit_is_found(name: str) -> None:
    artefact = forests.makers()[name]()
    specs, original = artefact.header.columns, _asked(artefact)
    rows, readout = to_numpy(forests.columns(forests.NUMBERS)), read(artefact)
    tree = readout.forest.trees[0]
    amount = int(
        np.flatnonzero((tree.left >= 0) & (tree.feature == 0) & np.isfinite(tree.threshold))[0]
    )
    one = np.nextafter(np.float32(tree.threshold[amount]), np.float32(np.inf))
    tree.threshold[amount] = (
        one if name == "xgboost" else np.nextafter(tree.threshold[amount], np.inf)
    )
    wrong = forests.laid_out(readout, 4, refused_by(original, specs, rows))
    found = compare(wrong, original, readout, specs, rows, classes=True, seed=0)
    assert "differs by" in found.refusal


def test_every_name_has_a_model() -> None:
    pytest.importorskip("xgboost")
    assert set(forests.makers()) == set(forests.NAMES)


def _by_hand(forest: Forest, row: np.ndarray) -> float:
    """The answer of a forest with sums of double precision, one plain step after the other."""
    sums = forest.base.copy()
    for tree in forest.trees:
        node = 0
        while tree.left[node] >= 0:
            x = row[tree.feature[node]]
            zero = tree.zero_missing is not None and tree.zero_missing[node]
            if np.isnan(x):
                left = bool(tree.nan_left[node])
            elif node in tree.categories:
                categories = tree.categories[node]
                # LightGBM cuts -0.7 down to 0; to XGBoost, whose others go left, it is no category
                inside = x >= 0 or (x > -1 and not categories.outside)
                inside = inside and x < len(categories.left)
                left = bool(categories.left[int(x)]) if inside else categories.outside
            elif zero and abs(x) <= 1e-35:
                left = bool(tree.nan_left[node])
            else:
                left = bool(x <= tree.threshold[node])
            node = tree.left[node] if left else tree.right[node]
        sums[tree.group] += tree.value[node]
    if forest.link == "softmax":
        return float(np.exp(sums)[forest.answer] / np.exp(sums).sum())
    x = float(sums[forest.answer]) / forest.divisor
    return {"identity": x, "sigmoid": 1 / (1 + np.exp(-forest.slope * x)), "exp": np.exp(x)}[
        forest.link
    ]


def _tree(rng: np.random.Generator, features: int, groups: int, special: bool) -> Tree:
    """A tree that grew by splitting leaves that were drawn."""
    left, right = [-1], [-1]
    for _ in range(rng.integers(0, 12)):
        leaf = rng.choice([node for node, kid in enumerate(left) if kid < 0])
        left[leaf], right[leaf] = len(left), len(left) + 1
        left += [-1, -1]
        right += [-1, -1]
    size = len(left)
    inner = [node for node in range(size) if left[node] >= 0]
    categories = {
        node: Categories(rng.random(rng.integers(1, 70)) > 0.5, outside=bool(rng.random() > 0.5))
        for node in inner
        if special and rng.random() > 0.5
    }
    return Tree(
        left=np.array(left),
        right=np.array(right),
        feature=rng.integers(0, features, size),
        threshold=rng.choice([-1.0, 0.0, 0.5, 3.0, np.inf], size),
        nan_left=rng.random(size) > 0.5,
        value=rng.normal(size=size),
        categories=categories,
        zero_missing=rng.random(size) > 0.7 if special else None,
        group=int(rng.integers(0, groups)),
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    trees=st.integers(1, 20),
    special=st.booleans(),
    link=st.sampled_from(["identity", "sigmoid", "exp", "softmax"]),
    values=st.lists(
        st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, 0.5, -0.7, -1.0, 3.0, 31.0, 64.0, 1e9]),
        min_size=12,
        max_size=12,
    ),
)  # fmt: skip
def test_a_forest_is_walked_as_written_down(
    seed: int, trees: int, special: bool, link: Any, values: list[float]
) -> None:
    rng, features, groups = np.random.default_rng(seed), 3, 3
    forest = Forest(
        trees=[_tree(rng, features, groups, special) for _ in range(trees)],
        base=rng.normal(size=groups),
        features=features,
        link=link,
        slope=0.7,
        divisor=1.0 if link == "softmax" else 3.0,
        answer=int(rng.integers(0, groups)),
    )
    readout = Readout(tuple(Number(place) for place in range(features)), forest)
    block = np.tile(np.array(values).reshape(-1, features), (3, 1))
    found = forests.laid_out(readout, features).predict(block)
    assert found is not None
    np.testing.assert_allclose(found, [_by_hand(forest, row) for row in block], rtol=1e-14)
    _alone(forests.laid_out(readout, features), block, found)


def _alone(compiled: Compiled, block: np.ndarray, found: np.ndarray) -> None:
    """Rows that are asked one by one are answered as in a block."""
    alone = [compiled.predict(block[place : place + 1]) for place in range(len(block))]
    np.testing.assert_array_equal(np.concatenate(alone), found)


@pytest.mark.parametrize(("leaves", "sifted"), [(1, True), (64, True), (65, False)])
def test_a_word_has_a_bit_for_each_leaf(leaves: int, sifted: bool) -> None:
    # from each inner node a leaf goes right, so that the last leaf from the left is the deepest one's brother
    inner = np.arange(leaves - 1)
    line = np.concatenate([inner, np.full(leaves, -1)])
    left, right = line.copy(), line.copy()
    left[:-leaves], right[:-leaves] = (
        np.where(inner < leaves - 2, inner + 1, leaves - 1),
        leaves + inner,
    )
    size = len(line)
    tree = Tree(
        left=left,
        right=right,
        feature=np.zeros(size, int),
        threshold=np.concatenate([inner[::-1] + 0.5, np.zeros(leaves)]),
        nan_left=np.arange(size) % 2 == 0,
        value=np.arange(size, dtype=float),
    )
    forest = Forest(trees=[tree, tree], base=np.zeros(1), features=1)
    assert (pack(forest).leaves.size > 0) == sifted
    block = np.array([*range(leaves + 1), np.nan, np.inf, -np.inf])[:, None]
    compiled = forests.laid_out(Readout((Number(0),), forest), 1)
    found = compiled.predict(block)
    assert found is not None
    assert found.tolist() == [_by_hand(forest, row) for row in block]
    _alone(compiled, block, found)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    leaves=st.integers(2, 80),
    trees=st.integers(1, 4),
    other=st.lists(st.floats(width=64), min_size=4, max_size=4),
)
def test_small_boosters_answer_the_same_anywhere(
    seed: int, leaves: int, trees: int, other: list[float]
) -> None:
    import lightgbm as lgb

    rng = np.random.default_rng(seed)
    X = rng.choice([np.nan, 0.0, 1.0, 2.5, -1e-36, 7.0], (300, 2)) + rng.normal(
        size=(300, 2)
    ).round(1)
    booster = lgb.train(
        {"num_leaves": leaves, "min_data_in_leaf": 3, "verbose": -1, "objective": "binary", "num_threads": 1},
        lgb.Dataset(X, rng.integers(0, 2, 300), categorical_feature=[1] if seed % 2 else []),
        num_boost_round=trees,
    )  # fmt: skip
    from nenrin.training.compiling.boosters import lightgbm_forest

    readout = Readout((Number(0), Number(1)), lightgbm_forest(booster.model_to_string()))
    block = np.concatenate([X, np.array(other).reshape(2, 2)])
    compiled = forests.laid_out(readout, 2)
    found = compiled.predict(block)
    np.testing.assert_array_equal(found, booster.predict(block, num_threads=1))
    _alone(compiled, block[-20:], found[-20:])


def test_treelite_reads_the_same_trees() -> None:
    treelite = pytest.importorskip("treelite")
    artefact = forests.fitted(__import__("lightgbm").LGBMClassifier(n_estimators=5, verbose=-1))
    block = to_numpy(forests.columns(forests.ALL))
    oracle = treelite.frontend.from_lightgbm(artefact.model)
    wanted = treelite.gtil.predict(oracle, block).ravel()
    np.testing.assert_allclose(forests.compiled(artefact).predict(block), wanted, atol=1e-15)


def test_what_the_original_refuses_is_left_to_it() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=3)
    artefact = forests.fitted(model, forests.NUMBERS, filled=True)
    rows = to_numpy(forests.columns(forests.NUMBERS, filled=True))
    refused = refused_by(_asked(artefact), artefact.header.columns, rows)
    both = REFUSES_NAN | REFUSES_INFINITE
    assert refused.tolist() == [both, both, REFUSES_NAN, REFUSES_NAN]
    compiled = forests.compiled(artefact, refused)
    assert compiled.predict(rows[:3]) is not None
    for value in (np.nan, np.inf, 1e300):  # 1e300 is infinite in single precision
        block = rows[:3].copy()
        block[1, 0] = value
        assert compiled.predict(block) is None


def test_models_that_are_not_known_say_so() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer
    from sklearn.tree import DecisionTreeClassifier

    linear = forests.fitted(LogisticRegression(), forests.NUMBERS, filled=True)
    with pytest.raises(NotCompiledError, match="LogisticRegression"):
        read(linear)
    bins = make_pipeline(
        KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), DecisionTreeClassifier()
    )
    with pytest.raises(NotCompiledError, match="KBinsDiscretizer"):
        read(forests.fitted(bins, ("amount", "step"), filled=True))


def test_an_empty_forest_and_one_that_loops_are_refused() -> None:
    empty = Forest(trees=[], base=np.zeros(1), features=1)
    with pytest.raises(NotCompiledError, match="0 trees"):
        pack(empty)
    tree = _tree(np.random.default_rng(0), 1, 1, special=False)
    tree.left[tree.left >= 0] = 0
    with pytest.raises(NotCompiledError):
        pack(Forest(trees=[tree], base=np.zeros(1), features=1))


def test_a_block_of_another_shape_is_refused() -> None:
    artefact = forests.fitted(__import__("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1))
    compiled = forests.compiled(artefact)
    with pytest.raises(ValueError, match="6 columns"):
        compiled.predict(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="6 columns"):
        compiled.predict(np.zeros((6, 2)).T)
    assert compiled.predict(np.empty((0, 6))).shape == (0,)
    with pytest.raises(IntegrityError, match="not of this nenrin"):
        Compiled(b"something else", forests.library())


def test_threads_ask_together() -> None:
    artefact = forests.fitted(__import__("lightgbm").LGBMClassifier(n_estimators=8, verbose=-1))
    compiled, block = forests.compiled(artefact), to_numpy(forests.columns(forests.ALL))
    wanted, found = compiled.predict(block), []

    def ask() -> None:
        found.extend(np.array_equal(compiled.predict(block), wanted) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


ROWS = [
    {"amount": 1.5, "step": 2, "visits": 3, "member": True, "plan": "a", "town": ""},
    {"amount": None, "plan": "never seen", "town": None, "visits": 2**60, "member": 0},
    {"amount": float("inf"), "step": np.float64(1), "visits": 3.0, "member": np.True_, "town": "z"},
    {},
]


@pytest.mark.parametrize("rows", [ROWS, *([row] for row in ROWS)])
def test_rows_become_the_same_block_as_by_the_columns(rows: list[dict[str, Any]]) -> None:
    specs = tuple(column.spec for column in forests.columns(forests.ALL))
    wanted = to_numpy(RowEncoder(specs).encode(rows))
    for given_as in (rows, Records.of_dicts(rows)):
        found = BlockEncoder(specs).encode(given_as)
        np.testing.assert_array_equal(found, wanted)
        assert found.flags.c_contiguous


def test_a_requests_own_block_is_taken() -> None:
    specs = tuple(column.spec for column in forests.columns(("amount", "step")))
    block = np.array([[0.5, 1.0, np.nan], [2.0, 3.0, 4.0]])
    found = BlockEncoder(specs).encode(Records.of_block(("step", "other", "amount"), block))
    np.testing.assert_array_equal(found, [[np.nan, 0.5], [4.0, 2.0]])
    assert found.flags.c_contiguous


@pytest.mark.parametrize("row", [{"amount": "x"}, {"plan": 3}, {"visits": 1.5}, {"member": 2}])
def test_what_does_not_fit_is_refused_in_the_same_words(row: dict[str, Any]) -> None:
    specs = tuple(column.spec for column in forests.columns(forests.ALL))
    with pytest.raises(RequestError) as ours:
        BlockEncoder(specs).encode([row])
    with pytest.raises(RequestError) as theirs:
        RowEncoder(specs).encode([row])
    assert str(ours.value) == str(theirs.value)
