"""What is kept of a model's compiling where its process gives no answer."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from nenrin.core.errors import ConflictError, NenrinError, StepError, WorkerLostError
from nenrin.pipelines.executor import Task
from nenrin.project.compiling import compiling
from nenrin.training.compiling.compile import CompileJob
from nenrin.training.compiling.compiled import FORM


class Ends:
    """An executor of which every task ends with an error."""

    def __init__(self, error: NenrinError) -> None:
        self.error = error
        self.asked: list[tuple[Task, CompileJob]] = []

    def start(self, task: Task, function: Any, job: CompileJob) -> Any:
        self.asked.append((task, job))
        result: Future[Any] = Future()
        result.set_exception(self.error)
        return SimpleNamespace(result=result)


@pytest.mark.parametrize(
    ("error", "form"),
    [
        (StepError("compiling took longer than the 120 s that it may"), FORM),
        (WorkerLostError("compiling was ended by SIGKILL"), 0),
        (ConflictError("the executor is closed"), 0),
    ],
)
def test_the_original_serves_and_what_says_nothing_of_the_model_is_tried_again(
    error: NenrinError, form: int
) -> None:
    executor: Any = Ends(error)
    outcome = compiling(executor, "t" * 64, "/revisions/r")("m" * 64, 5)
    assert outcome == {"form": form, "admitted": False, "why": error.message}
    [(task, job)] = executor.asked
    assert (job.model, job.table, job.before) == ("m" * 64, "t" * 64, 5)
    assert task.timeout is not None
