"""A pipe that ends a process group when whoever holds its other end is gone, however that ended.

On Linux the kernel itself sends SIGKILL to the whole group when the writing end closes: nothing has to run
in the group for that, so that a worker in the middle of native code, its children and a frozen process end
too. Elsewhere a thread of the worker notices that its socket has closed (``task_worker``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys


def hold(descriptor: int) -> None:
    """Let the process group, which this process leads, live no longer than the pipe's writing end.

    Args:
        descriptor: the reading end, not shared with another group.
    """
    if sys.platform == "linux":
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([descriptor], [], [], 0.0)[0]:  # it closed before anybody could be told
        end_group(os.getpid(), signal.SIGKILL)


def end_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there still is one."""
    if leader > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)
