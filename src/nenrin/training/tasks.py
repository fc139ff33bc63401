"""Tasks: what a label makes of a model, which metrics fit it, and the row loss that the loop acts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from nenrin.core.errors import ProjectError
from nenrin.stats.metrics import ROW_LOSS_OF, ROW_LOSSES

if TYPE_CHECKING:
    from nenrin.training.declare import Model
    from nenrin.training.table import RowTable

METRICS_OF = {
    "binary": ("log_loss", "brier", "roc_auc", "average_precision", "accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
}
_LATER = ("multiclass", "ranking", "forecast", "anomaly")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked to do.

    Attributes:
        kind: ``binary`` (predictions are probabilities) or ``regression`` (numbers).
        metric: what it is judged by.
        loss: the row loss that the loop acts on, a name in ``nenrin.stats.metrics.ROW_LOSSES``.
    """

    kind: str
    metric: str
    loss: str

    def row_loss(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Loss of each row, shape (n,)."""
        return ROW_LOSSES[self.loss](y, p)


def check_task(task: str | None, where: str) -> None:
    """Refuse a task that is not known or not built yet.

    Raises:
        ProjectError: it is neither ``binary`` nor ``regression``.
    """
    if task is None or task in METRICS_OF:
        return
    what = "is not built yet" if task in _LATER else "is not known"
    raise ProjectError(
        f"task={task!r} {what}", hint=f"one of {', '.join(METRICS_OF)}", where=where
    )


def check_metric(metric: str | None, task: str | None, where: str) -> None:
    """Refuse a metric that no task, or not this one, is judged by.

    Raises:
        ProjectError: the metric is unknown, or does not fit the task.
    """
    if metric is None:
        return
    fitting = METRICS_OF.get(task or "", tuple(name for names in METRICS_OF.values() for name in names))
    if metric not in fitting:
        problem = f"does not fit a {task} model" if task else "is not known"
        raise ProjectError(
            f"metric={metric!r} {problem}", hint=f"one of {', '.join(fitting)}", where=where
        )


def infer_task(model: Model, table: RowTable) -> Task:
    """The task of ``model``, from its declaration and the labels of its rows.

    A label of truth values, or of the numbers 0 and 1 alone, is binary; other numbers are a regression.

    Raises:
        ProjectError: no row has a label, the labels do not fit the declared task, or the metric does not.
    """
    spec = model.declared
    labels = table.y[~np.isnan(table.y)]
    if len(labels) == 0:
        raise ProjectError(
            f"no row of {model.rows.declared.name} has a label",
            hint=f"see that {model.label} has values, and keys that occur in the rows",
            where=spec.where,
        )
    two_valued = bool(np.isin(labels, (0.0, 1.0)).all())
    kind = spec.task or ("binary" if two_valued else "regression")
    if kind == "binary" and not two_valued:
        raise ProjectError(
            f"{model.label} has other values than 0 and 1, so {spec.name} is no binary model",
            hint=f'name the positive class (label={model.label} == 1), or write task="regression"',
            where=spec.where,
        )
    check_metric(spec.metric, kind, spec.where)
    metric = spec.metric or METRICS_OF[kind][0]
    return Task(kind=kind, metric=metric, loss=ROW_LOSS_OF[metric])


def prior(y: np.ndarray) -> float:
    """The baseline: the mean label of training rows, without NaN; of no rows NaN."""
    return float(y.mean()) if len(y) else float("nan")
