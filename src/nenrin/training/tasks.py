"""Tasks: what a label makes of a model, and the row loss that the loop acts on."""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.core.errors import ProjectError
from nenrin.stats.metrics import ROW_LOSS_OF, ROW_LOSSES
from nenrin.training.declare import Model
from nenrin.training.metrics import METRICS_OF, check_metric
from nenrin.training.table import RowTable


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
