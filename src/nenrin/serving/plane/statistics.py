"""What versions have done so far, as the extension "statistics" of the protocol tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.spent import Durations


def count_answered(
    served: Served, versions: Sequence[str], sizes: Sequence[int], seconds: Sequence[float]
) -> None:
    """Requests were answered.

    Args:
        served: the deployment.
        versions: who answered each row of theirs, one request after the other.
        sizes: how many rows each request has.
        seconds: from each one's whole body to its answer.
    """
    runtimes = served.runtimes
    if len(runtimes) > 1:  # a version that did not load is the champion's place twice
        runtimes = [*{runtime.version: runtime for runtime in runtimes}.values()]
    for runtime in runtimes:
        rows = versions.count(runtime.version)
        if not rows:
            continue
        mine: Sequence[float] = seconds
        if rows < len(versions):
            ends = [*accumulate(sizes)]
            mine = [
                took
                for end, size, took in zip(ends, sizes, seconds, strict=True)
                if runtime.version in versions[end - size : end]
            ]
        runtime.spent.success.add(sum(mine), len(mine))
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
