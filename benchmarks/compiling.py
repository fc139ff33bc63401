"""Compiled models against their originals: what a call costs, what compiling costs, how alike they answer.

    python benchmarks/compiling.py [--trees 200] [--repeats 5] [--only NAME]

Every cell is the median over interleaved repeats, with the least and the most, in CPU microseconds of the
process: other work on the machine is not in them. Rows are asked as the data plane does (dicts of plain
values), and as a block of numbers.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import encode
from nenrin.training.compiling import kernel
from nenrin.training.compiling.blocks import BlockEncoder
from nenrin.training.compiling.compile import _asked
from nenrin.training.compiling.compiled import Compiled, form_of
from nenrin.training.compiling.converting import converted
from nenrin.training.compiling.forest import NotCompiledError
from nenrin.training.compiling.graphs import Graph, graph_form
from nenrin.training.compiling.parity import (
    ONNX_TOLERANCE,
    TOLERANCE,
    Form,
    compare,
    refused_by,
)
from nenrin.training.compiling.reading import Readout, read
from nenrin.training.containers import BUILD, to_numpy

ROWS = 6_000


def frame() -> pl.DataFrame:
    """30 columns of numbers and 10 of texts."""
    rng = np.random.default_rng(0)
    numbers = {f"x{place}": rng.normal(size=ROWS) for place in range(30)}
    for values in list(numbers.values())[:5]:
        values[rng.random(ROWS) < 0.05] = np.nan
    texts = {
        f"t{place}": rng.choice([f"word {each}" for each in range(5 + 2 * place)], ROWS)
        for place in range(10)
    }
    return pl.DataFrame(numbers | texts)


def target(given: pl.DataFrame) -> np.ndarray:
    x = given.select(pl.col("^x.*$").fill_nan(0)).to_numpy()
    noise = np.random.default_rng(1).normal(size=ROWS)
    score = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 3:10].sum(axis=1) / 3 + noise
    return ((score + (given["t0"] == "word 1").to_numpy()) > 0).astype(int)


def models(trees: int) -> dict[str, tuple[Any, int, int]]:
    """By name: the model, how many numbers and how many texts it is given."""
    import lightgbm as lgb
    import xgboost as xgb
    from sklearn import ensemble, linear_model, neural_network
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [f"x{place}" for place in range(20)]
    texts = [f"t{place}" for place in range(10)]
    before = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ]
    )
    return {
        "A: LightGBM, 30 numbers": (lgb.LGBMClassifier(n_estimators=trees, verbose=-1, n_jobs=1), 30, 0),
        "B: ColumnTransformer + HistGradientBoosting": (
            make_pipeline(
                before, ensemble.HistGradientBoostingClassifier(max_iter=trees, early_stopping=False)
            ),
            20,
            10,
        ),
        "LightGBM, 10 texts": (lgb.LGBMClassifier(n_estimators=trees, verbose=-1, n_jobs=1), 20, 10),
        "XGBoost": (xgb.XGBClassifier(n_estimators=trees, max_depth=5, n_jobs=1), 30, 0),
        "RandomForest": (ensemble.RandomForestClassifier(trees, max_leaf_nodes=31, n_jobs=1), 30, 0),
        "GradientBoosting": (ensemble.GradientBoostingClassifier(n_estimators=trees), -20, 0),
        "ColumnTransformer + LogisticRegression": (
            make_pipeline(before, linear_model.LogisticRegression(max_iter=1000)), 20, 10
        ),
        "ColumnTransformer + MLPClassifier": (
            make_pipeline(before, neural_network.MLPClassifier((64, 32), max_iter=20)), 20, 10
        ),
    }  # fmt: skip


def fitted(model: Any, numbers: int, texts: int) -> tuple[Artefact, pl.DataFrame]:
    """The artefact and its rows; a negative count of numbers leaves out those with missing values."""
    names = [f"x{place}" for place in range(30)][:numbers] if numbers > 0 else []
    names = names or [f"x{place}" for place in range(10, 10 - numbers)]
    given = frame().select(*names, *(f"t{place}" for place in range(texts)))
    columns = encode(given)
    model.fit(BUILD["pandas"](columns), target(frame()))
    data = dump(
        model,
        name="model",
        where="benchmark:1",
        task="binary",
        container="pandas",
        columns=tuple(column.spec for column in columns),
    )
    return Artefact.loads(data, trusted=True), given


def micros(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, str]:
    """Median, least and most CPU microseconds of each call, interleaved."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            call()
            started, times = time.process_time(), 0
            while time.process_time() - started < 0.1:
                call()
                times += 1
            taken[name].append((time.process_time() - started) / times * 1e6)
    return {
        name: f"{statistics.median(each):,.1f} ({min(each):,.1f} … {max(each):,.1f})"
        for name, each in taken.items()
    }


def measure(name: str, artefact: Artefact, given: pl.DataFrame, repeats: int) -> None:
    """Print one model's figures."""
    specs, original = artefact.header.columns, _asked(artefact)
    rows = to_numpy(encode(given))
    started = time.perf_counter()
    try:
        readout: Readout | None = read(artefact)
        data = form_of(readout, refused_by(original, specs, rows)).dumps()
        library = kernel.built()
        assert library is not None, "no C compiler"
        compiled: Form = Compiled(data, kernel.opened(library))
        what, tolerance = f"{len(readout.forest.trees)} trees", TOLERANCE
    except NotCompiledError:
        readout = None
        data = graph_form(converted(artefact), refused_by(original, specs, rows)).dumps()
        compiled, what, tolerance = Graph(data), "an ONNX graph", ONNX_TOLERANCE
    read_in = time.perf_counter() - started
    started = time.perf_counter()
    parity = compare(
        compiled, original, readout, specs, rows[:2000], classes=True, seed=0, tolerance=tolerance
    )
    compared_in = time.perf_counter() - started
    print(f"\n{name}: {what}, form {len(data) / 1024:,.0f} KiB")
    print(f"  read and laid out {read_in:.2f} s, compared {compared_in:.2f} s")
    print(
        f"  parity: {parity.rows} rows, {parity.edges} edges ({parity.left} left to the original), "
        f"difference {parity.difference:.1e}, flips {parity.flips}, rank {parity.rank:.6f}"
        f" {parity.refusal or '- admitted'}"
    )
    blocks = BlockEncoder(specs)
    for size in (1, 100):
        some, block = given.head(size).to_dicts(), np.ascontiguousarray(rows[:size])
        found = micros(
            {
                "original, rows": lambda some=some: artefact.predict_rows(some),
                "compiled, rows": lambda some=some: compiled.predict(blocks.encode(some)),
                "compiled, block": lambda block=block: compiled.predict(block),
            },
            repeats,
        )
        print(f"  {size} rows, CPU us a call: " + "; ".join(f"{k} {v}" for k, v in found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="models with this in their name")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    kernel.built.cache_clear()
    started = time.perf_counter()
    kernel.built()
    print(
        f"the C function, once a machine: {time.perf_counter() - started:.2f} s ({kernel.machine()})"
    )
    for name, (model, numbers, texts) in models(asked.trees).items():
        if asked.only not in name:
            continue
        measure(name, *fitted(model, numbers, texts), asked.repeats)


if __name__ == "__main__":
    main()
