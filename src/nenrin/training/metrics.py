"""Which metrics fit which task, as a declaration is checked against."""

from __future__ import annotations

from nenrin.core.errors import ProjectError

METRICS_OF = {
    "binary": ("log_loss", "brier", "roc_auc", "average_precision", "accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
}
_LATER = ("multiclass", "ranking", "forecast", "anomaly")


def check_task(task: str | None, where: str) -> None:
    """Refuse a task that is not known or not built yet.

    Raises:
        ProjectError: it is neither ``binary`` nor ``regression``.
    """
    if task is None or task in METRICS_OF:
        return
    what = "is not built yet" if task in _LATER else "is not known"
    raise ProjectError(f"task={task!r} {what}", hint=f"one of {', '.join(METRICS_OF)}", where=where)


def check_metric(metric: str | None, task: str | None, where: str) -> None:
    """Refuse a metric that no task, or not this one, is judged by.

    Raises:
        ProjectError: the metric is unknown, or does not fit the task.
    """
    if metric is None:
        return
    fitting = METRICS_OF.get(
        task or "", tuple(name for names in METRICS_OF.values() for name in names)
    )
    if metric not in fitting:
        problem = f"does not fit a {task} model" if task else "is not known"
        raise ProjectError(
            f"metric={metric!r} {problem}", hint=f"one of {', '.join(fitting)}", where=where
        )
