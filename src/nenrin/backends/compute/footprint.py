"""What the processes of a task use: memory and CPU, read from ``/proc`` by whoever started them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")

WATCHED = Path("/proc/self/statm").exists()


def memory(root: int, limit: int) -> int:
    """Bytes that a process and its descendants hold in memory, exact where they may pass ``limit``.

    What several of them share counts once there (proportional set sizes); the cheap sum that is read
    first counts it for each, and is enough where it stays below the limit.
    """
    pids = list(tree(root))
    resident = sum(map(_resident, pids))
    return resident if resident <= limit else sum(map(_proportional, pids))


def cpu_alone(pid: int) -> float:
    """CPU seconds that a process has used so far, its children left out."""
    return _cpu(pid)


def cpu(root: int) -> float:
    """CPU seconds that a process and its living descendants have used so far."""
    return sum(map(_cpu, tree(root)))


def tree(root: int) -> Iterator[int]:
    """Ids of a process and of everything below it."""
    yield root
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{root}/task"):  # noqa: PTH208 - read every tenth of a second
            for child in _read(f"/proc/{root}/task/{thread}/children").split():
                yield from tree(int(child))


def _resident(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _proportional(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)


def _cpu(pid: int) -> float:
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS if after_name else 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
