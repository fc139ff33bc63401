"""Asks a process of its own to compile a model over a deployment's rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nenrin.core.errors import NenrinError, StepError, WorkerLostError
from nenrin.pipelines.executor import Executor, Task
from nenrin.training.compiling.compile import CompileJob, Outcome, compile_model, plain
from nenrin.training.compiling.compiled import FORM

_SECONDS = 120.0  # what goes out waits for it; 1,000 trees of a random forest took 10 CPU seconds


def compiling(
    executor: Executor, table: str, folder: str
) -> Callable[[str, int | None], dict[str, Any]]:
    """What compiles models (by digest) of a revision's ``folder``, compared on rows of ``table``.

    It never raises: a model whose process dies or takes too long is served by its original. One that could
    not be begun, or whose process was killed by somebody else, is tried again.
    """
    task = Task(name="compiling", project=Path(folder), timeout=_SECONDS)

    def compiled(model: str, before: int | None) -> dict[str, Any]:
        job = CompileJob(model=model, table=table, project=folder, before=before)
        try:
            return plain(executor.start(task, compile_model, job).result.result())
        except OSError as error:
            return plain(Outcome(form=0, admitted=False, why=f"it could not be begun: {error}"))
        except NenrinError as error:
            its_own = isinstance(error, StepError) and not isinstance(error, WorkerLostError)
            form = FORM if its_own else 0
            return plain(Outcome(form=form, admitted=False, why=error.message))

    return compiled
