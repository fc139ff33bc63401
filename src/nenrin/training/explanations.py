"""What moved a model's answer: a part for each feature, which add up to the answer.

LightGBM tells its own parts of the margin (Lundberg et al., "Consistent individualized feature attribution
for tree ensembles", 2018). They are rescaled to the answer by one factor a row, the *rescale* rule of
Shrikumar et al., "Learning important features through propagating activation differences", 2017. Any other
model is only asked (:mod:`nenrin.training.shapley`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import USERS_ERRORS, NenrinError, NotFoundError, StepError
from nenrin.pipelines.executor import WorkerContext
from nenrin.stats.platt import sigmoid
from nenrin.training.artefact import Artefact
from nenrin.training.columns import ColumnSpec, FeatureColumn, RowEncoder, recode, take
from nenrin.training.containers import BUILD
from nenrin.training.fit import open_model, open_table
from nenrin.training.shapley import shapley
from nenrin.training.table import Selection

_NO_MOVE = 1e-6  # of a margin, below which the slope stands in for the ratio of two differences
_OBJECTIVE = re.compile(r"^objective=(\w+)(?: sigmoid:(\S+))?$", re.MULTILINE)

Columns = Sequence[FeatureColumn]
Link = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parts:
    """The answers to n rows, taken apart: ``base + contributions.sum(axis=1)`` is ``answer``.

    Attributes:
        answer: float64 (n,): what the model says: probabilities or numbers.
        base: float64 (n,): where it starts from, knowing no feature.
        contributions: float64 (n, features): what each feature adds, in the order of the artefact's columns.
        by: how they were found: ``its own trees`` or ``sampled orders``.
    """

    answer: np.ndarray
    base: np.ndarray
    contributions: np.ndarray
    by: str


class ExplainJob(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one model.

    Attributes:
        model: digest of the artefact.
        features: what the model saw, as the prediction log has it.
        table: digest of a row table with rows that it was trained on; empty: none is kept.
        trained: which rows those are.
        project: folder of the unpacked revision, whose modules a pickled model may need; empty: none.
    """

    model: str
    features: dict[str, Any]
    table: str = ""
    trained: Selection | None = None
    project: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, taken apart: ``base`` and the contributions by feature add up to it. ``by``: see Parts."""

    answer: float
    base: float
    contributions: dict[str, float]
    by: str


def explain_each(context: WorkerContext, jobs: Sequence[ExplainJob]) -> list[Explanation | str]:
    """What moved each answer; of one that cannot be explained, why."""
    return [_or_why(context, job) for job in jobs]


def _or_why(context: WorkerContext, job: ExplainJob) -> Explanation | str:
    try:
        return explain(context, job)
    except NenrinError as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    except USERS_ERRORS as error:  # whatever a model raises is no matter of the others
        return f"it raised {type(error).__name__}: {error}"


def explain(context: WorkerContext, job: ExplainJob) -> Explanation:
    """What moved one answer.

    Raises:
        NotFoundError, RequestError, StepError: as :func:`contributions`.
        MissingExtraError: the model's library is not installed.
    """
    if job.project:
        context.project(job.project)
    artefact = open_model(context, job.model)
    specs = artefact.header.columns
    row = RowEncoder(specs).encode([_as_seen(specs, job.features)])
    parts = contributions(artefact, row, _trained_on(context, job, specs))
    return Explanation(
        answer=float(parts.answer[0]),
        base=float(parts.base[0]),
        contributions={
            spec.name: float(part) for spec, part in zip(specs, parts.contributions[0], strict=True)
        },
        by=parts.by,
    )


def contributions(artefact: Artefact, rows: Columns, background: Columns | None = None) -> Parts:
    """What each feature adds to the answers of a model.

    Args:
        artefact: the model.
        rows: the rows to explain, encoded; columns that the model does not know are left out.
        background: rows that it was trained on. LightGBM needs none.

    Raises:
        NotFoundError: the model can only be asked, and there is no background.
        RequestError: the model can only be asked, and has too many features for that.
        StepError: the model raised, or its answer is no finite number.
    """
    rows = recode(rows, artefact.header.columns)
    answer = artefact.predict_columns(rows)
    if not np.isfinite(answer).all():
        raise StepError(
            f"{artefact.header.model} does not answer with a finite number: nothing adds up to it",
            hint="see what its function returns for these features",
            where=artefact.header.where,
        )
    told = _by_trees(artefact, rows, answer)
    if told is not None:
        return told
    if background is None or not len(background[0].values):
        raise NotFoundError(
            f"{artefact.header.model} is explained beside rows that it was trained on, "
            "and none are kept here",
            hint="nenrin run builds them, with the columns of the code of now; then ask again",
        )
    base, parts = shapley(artefact, rows, recode(background, artefact.header.columns))
    return Parts(answer, base, parts, "sampled orders")


def _by_trees(artefact: Artefact, rows: Columns, answer: np.ndarray) -> Parts | None:
    """LightGBM's own parts; None where it has none, or they do not lead to its answer."""
    if artefact.header.format != "lightgbm":
        return None
    text: str = artefact.model.model_to_string()
    link = _link(text)
    if link is None or "\nis_linear=1" in text:
        return None
    told = artefact.model.predict(BUILD["numpy"](rows), pred_contrib=True, num_threads=1)
    base, parts = told[:, -1], told[:, :-1]
    if not np.allclose(link(base + parts.sum(axis=1)), answer, rtol=1e-9, atol=1e-9):
        return None  # a random forest, whose trees are averaged
    return Parts(answer, link(base), rescaled(base, parts, answer, link), "its own trees")


def _link(text: str) -> Link | None:
    """From margin to answer, by the objective in a model's text; None where it is another one."""
    found = _OBJECTIVE.search(text)
    if found is None or found[1] not in _LINKS:
        return None
    link, slope = _LINKS[found[1]], float(found[2] or 1.0)
    return lambda margin: link(slope * margin)


def _same(margin: np.ndarray) -> np.ndarray:
    return margin


_LINKS: dict[str, Link] = {
    **dict.fromkeys(("binary", "cross_entropy"), sigmoid),
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), _same),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), np.exp),
}


def rescaled(base: np.ndarray, parts: np.ndarray, answer: np.ndarray, link: Link) -> np.ndarray:
    """Parts of a margin as parts of the answer, in the same proportions.

    Args:
        base: float64 (n,): where the margin starts.
        parts: float64 (n, features): what each feature adds to it.
        answer: float64 (n,): ``link`` of the whole margin.
        link: from margin to answer, rising.

    Returns:
        float64 (n, features), in each row ``answer - link(base)`` in all.
    """
    moved = parts.sum(axis=1)
    still = np.abs(moved) < _NO_MOVE
    middle, width = base + moved / 2, 1e-4
    slope = (link(middle + width) - link(middle - width)) / (2 * width)
    ratio = (answer - link(base)) / np.where(still, 1.0, moved)
    return np.asarray(parts * np.where(still, slope, ratio)[:, None])


def _trained_on(
    context: WorkerContext, job: ExplainJob, specs: Sequence[ColumnSpec]
) -> Columns | None:
    """The rows of the model's training; None where the table has none, or other columns than it."""
    if job.trained is None or not job.table or not context.store.has(job.table):
        return None
    table = open_table(context, job.table)
    kinds = {(column.name, column.kind) for column in table.columns}
    if not {(spec.name, spec.kind) for spec in specs} <= kinds:
        return None
    return take(table.columns, table.select(job.trained).indices)


def _as_seen(specs: Sequence[ColumnSpec], features: Mapping[str, Any]) -> dict[str, Any]:
    """Logged features as the model saw them: JSON has instants and durations as texts."""
    instants = {spec.name for spec in specs if spec.kind == "integer"}
    return {
        name: _instant(value) if name in instants and isinstance(value, str) else value
        for name, value in features.items()
    }


def _instant(text: str) -> Any:
    for kind in (datetime, date, timedelta):
        try:
            return msgspec.convert(text, kind)
        except msgspec.ValidationError:
            continue
    return text
