"""Asks a worker to compile a model over a deployment's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nenrin.core.errors import NenrinError
from nenrin.pipelines.executor import Executor
from nenrin.training.compiling.compile import CompileJob, compile_model, plain, refused


def compiling(
    executor: Executor, table: str, folder: str
) -> Callable[[str, int | None], dict[str, Any]]:
    """What compiles models (by digest) of a revision's ``folder``, compared on rows of ``table``."""

    def compiled(model: str, before: int | None) -> dict[str, Any]:
        job = CompileJob(model=model, table=table, project=folder, before=before)
        try:
            return plain(executor.submit(compile_model, job).result())
        except NenrinError as error:  # a worker that dies of it leaves the original to serve
            return plain(refused(error.message))

    return compiled
