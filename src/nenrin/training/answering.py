"""Models asked about a few rows in a worker, because the process that asks opens none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from nenrin.core.errors import USERS_ERRORS, NenrinError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.fit import open_model


class AnswerJob(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for one model.

    Attributes:
        model: digest of the artefact.
        rows: what it sees of each.
        project: folder of the unpacked revision, whose modules a pickled model may need; empty: none.
    """

    model: str
    rows: list[dict[str, Any]]
    project: str = ""


def answer_each(context: WorkerContext, jobs: Sequence[AnswerJob]) -> list[list[float] | str]:
    """The answers to each job's rows; of one that fails, why."""
    return [_or_why(context, job) for job in jobs]


def _or_why(context: WorkerContext, job: AnswerJob) -> list[float] | str:
    try:
        if job.project:
            context.project(job.project)
        answers: list[float] = open_model(context, job.model).predict_rows(job.rows).tolist()
    except NenrinError as error:
        return error.message
    except USERS_ERRORS as error:  # whatever a model raises is no matter of the others
        return f"it raised {type(error).__name__}: {error}"
    return answers
