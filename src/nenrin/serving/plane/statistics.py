"""What versions have done so far, as the extension "statistics" of the protocol tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.spent import Durations
from nenrin.serving.plane.table import Served


def count_answered(served: Served, versions: Sequence[str], seconds: float) -> None:
    """A request was answered, its rows by ``versions``, in ``seconds`` from its whole body."""
    runtimes = served.runtimes
    if len(runtimes) > 1:  # a version that did not load is the champion's place twice
        runtimes = [*{runtime.version: runtime for runtime in runtimes}.values()]
    for runtime in runtimes:
        rows = versions.count(runtime.version)
        if rows:
            runtime.spent.success.add(seconds)
            runtime.spent.rows += rows
            runtime.spent.last = served.now


def count_failed(served: Served, version: str | None, seconds: float) -> None:
    """A request was refused or failed after ``seconds``; the champion's, if it named no version."""
    named = [runtime for runtime in served.runtimes if runtime.version == version]
    (named or served.runtimes)[0].spent.fail.add(seconds)


def statistics(name: str, runtime: Runtime) -> dict[str, Any]:
    """The counters of a deployment's version."""
    spent = runtime.spent
    nothing = Durations().told()
    return {
        "name": name,
        "version": runtime.version,
        "last_inference": spent.last // 1000,
        "inference_count": spent.rows,
        "execution_count": spent.compute.count,
        "inference_stats": {
            "success": spent.success.told(),
            "fail": spent.fail.told(),
            "queue": spent.queue.told(),
            "compute_input": nothing,
            "compute_infer": spent.compute.told(),
            "compute_output": nothing,
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [],
    }
