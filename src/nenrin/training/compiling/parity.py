"""Whether a compiled form answers as its original does: on real rows, and on rows at the edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from nenrin.stats.ranks import rank_correlation
from nenrin.training.columns import ColumnSpec
from nenrin.training.compiling.before import Number
from nenrin.training.compiling.compiled import REFUSES_INFINITE, REFUSES_NAN
from nenrin.training.compiling.reading import Readout

Asked = Callable[[np.ndarray], np.ndarray]

TOLERANCE = 1e-9
"""The largest difference between an answer of compiled trees and their original's."""

ONNX_TOLERANCE = 1e-6
"""The same of an ONNX graph: some of its operators (of SVMs) know single precision alone."""

ROWS = 2_000
_TEXTS = 1_000  # of a column
_NEIGHBOURS = 6  # rows about a threshold, at most
_THRESHOLDS = 500
_WALKS = 10_000_000
"""How many trees rows about thresholds may be walked through; where they are more, thresholds are drawn."""
_EXTREMES = (0.0, -0.0, 1e-35, -1e-35, 1e-300, -1e-300, 1e300, -1e300, np.inf, -np.inf)


class Form(Protocol):
    """A compiled form, opened."""

    def predict(self, block: np.ndarray) -> np.ndarray | None:
        """float64 (n,) for a block, float64 (n, columns); None where it is left to the original."""
        ...


class Parity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How alike two forms of a model answer.

    Attributes:
        rows: real rows that were compared.
        edges: rows with missing and infinite values, with each text (up to 1,000 a column), and with values
            about thresholds. An empty or unseen text is a missing one, unless training had it.
        left: rows at the edges that are left to the original, which may refuse them.
        difference: the largest one between two answers, relative to those above 1.
        tolerance: how large it may be.
        flips: rows that fall on the other side of one half; 0 where the task is no class.
        rank: rank correlation of the answers (Spearman).
        problem: why nothing could be compared; empty otherwise.
    """

    rows: int
    edges: int
    left: int
    difference: float
    tolerance: float
    flips: int
    rank: float
    problem: str = ""

    @property
    def refusal(self) -> str:
        """Why the form is not admitted; empty where it is."""
        if self.problem:
            return self.problem
        if not self.difference <= self.tolerance:
            return f"an answer differs by {self.difference:.3g}, more than {self.tolerance:g}"
        return f"{self.flips} labels flip" if self.flips else ""


def refused_by(original: Asked, specs: Sequence[ColumnSpec], rows: np.ndarray) -> np.ndarray:
    """What the original refuses in each column, found by asking it.

    Args:
        original: answers a block; raises where it refuses one.
        specs: the columns.
        rows: real rows, which it takes.

    Returns:
        uint8 (columns,): ``REFUSES_NAN`` and ``REFUSES_INFINITE`` of the kinds that can hold them.
    """
    refused = np.zeros(len(specs), np.uint8)
    every = np.arange(len(specs))
    numbers = np.array([p for p, spec in enumerate(specs) if spec.kind == "number"], np.int64)
    for flag, value, places in (
        (REFUSES_NAN, np.nan, every),
        (REFUSES_INFINITE, np.inf, numbers),
    ):
        if _takes(original, rows, places, value):
            continue
        for place in places:
            if not _takes(original, rows, np.array([place]), value):
                refused[place] |= flag
    return refused


def _takes(original: Asked, rows: np.ndarray, places: np.ndarray, value: float) -> bool:
    row = rows[:1].copy()
    row[:, places] = value
    try:
        original(row)
    except Exception:  # noqa: BLE001 - that it raises is the answer
        return False
    return True


def compare(
    compiled: Form,
    original: Asked,
    readout: Readout | None,
    specs: Sequence[ColumnSpec],
    rows: np.ndarray,
    *,
    classes: bool,
    seed: int,
    tolerance: float = TOLERANCE,
) -> Parity:
    """Ask both, of real rows and of rows at the edges.

    Args:
        compiled, original: the two forms.
        readout: has the thresholds; None where there are none.
        specs: the columns.
        rows: float64 (n, columns), real rows.
        classes: whether answers are probabilities.
        seed: of the draws of rows and thresholds.
        tolerance: how far two answers may be apart.
    """
    edges = edges_of(readout, specs, rows, np.random.default_rng(seed))
    block = np.concatenate([rows, edges])
    answers = [compiled.predict(block[place : place + 1]) for place in range(len(block))]
    taken = np.array([answer is not None for answer in answers])
    found = np.concatenate([answer for answer in answers if answer is not None] or [np.empty(0)])
    counts = (len(rows), len(edges), int((~taken[len(rows) :]).sum()))
    if not taken[: len(rows)].any():
        return _incomparable(
            counts, tolerance, "the compiled form leaves every real row to the original"
        )
    try:
        wanted = original(block[taken])
    except Exception as error:  # noqa: BLE001 - whatever it raises, the two differ
        why = f"the original refuses rows that the compiled form answers: {error}"
        return _incomparable(counts, tolerance, why)
    whole = compiled.predict(np.ascontiguousarray(block[taken]))
    if whole is None:
        why = "the compiled form leaves a batch to the original whose rows it answers"
        return _incomparable(counts, tolerance, why)
    real = int(taken[: len(rows)].sum())
    return Parity(
        rows=counts[0],
        edges=counts[1],
        left=counts[2],
        difference=max(difference(found, wanted), difference(whole, wanted)),
        tolerance=tolerance,
        flips=int(((found >= 0.5) != (wanted >= 0.5)).sum()) if classes else 0,
        rank=rank_correlation(found[:real], wanted[:real]),
    )


def _incomparable(counts: tuple[int, int, int], tolerance: float, why: str) -> Parity:
    return Parity(
        rows=counts[0],
        edges=counts[1],
        left=counts[2],
        difference=float("inf"),
        tolerance=tolerance,
        flips=0,
        rank=0.0,
        problem=why,
    )


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference between answers, relative to those above 1 in size.

    Two that are missing, or infinite alike, do not differ.
    """
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if same.all():
        return 0.0
    apart = np.abs(one[~same] - other[~same]) / np.maximum(1.0, np.abs(other[~same]))
    return float("inf") if np.isnan(apart).any() else float(apart.max())


def edges_of(
    readout: Readout | None,
    specs: Sequence[ColumnSpec],
    rows: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Rows at the edges: real ones, each with one value that is missing, extreme, or about a threshold.

    Returns:
        float64 (m, columns).
    """
    values: list[tuple[int, float]] = []
    for place, spec in enumerate(specs):
        values.append((place, np.nan))
        if spec.kind == "number":
            values += [(place, extreme) for extreme in _EXTREMES]
        elif spec.kind == "integer":
            values += [(place, whole) for whole in (0.0, -1.0, 2.0**53, -(2.0**53))]
        elif spec.kind == "boolean":
            values += [(place, 0.0), (place, 1.0)]
        else:
            size = len(spec.vocabulary or ())
            chosen = rng.choice(size, min(size, _TEXTS), replace=False)
            values += [(place, float(each)) for each in chosen]
    if readout is not None:
        values += _about_thresholds(readout, specs, rng)
    block = rows[rng.integers(0, len(rows), len(values))]
    for row, (place, value) in zip(block, values, strict=True):
        row[place] = value
    return np.concatenate([block, np.full((1, len(specs)), np.nan)])


def _about_thresholds(
    readout: Readout, specs: Sequence[ColumnSpec], rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Each threshold as a column has it, and its neighbours: of single precision, and of double."""
    forest = readout.forest
    splits = sorted(
        {
            (int(tree.feature[node]), float(tree.threshold[node]))
            for tree in forest.trees
            for node in np.flatnonzero(tree.left >= 0)
            if node not in tree.categories
        }
    )
    most = max(_THRESHOLDS, _WALKS // (_NEIGHBOURS * max(1, len(forest.trees))))
    found = []
    for feature, threshold in (splits[each] for each in rng.permutation(len(splits))[:most]):
        made = readout.features[feature]
        if not isinstance(made, Number) or not np.isfinite(threshold):
            continue
        spec, at = specs[made.source], threshold * made.over + made.minus
        about = [at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)]
        with np.errstate(over="ignore"):
            single = np.float32(at)
            about += [float(np.nextafter(single, np.float32(to))) for to in (-np.inf, np.inf)]
        about.append(float(single))
        if spec.kind == "number":
            found += [(made.source, float(each)) for each in about]
        elif spec.kind == "integer" and abs(at) < 2.0**53:
            found += [(made.source, float(np.floor(at))), (made.source, float(np.ceil(at)))]
    return found
