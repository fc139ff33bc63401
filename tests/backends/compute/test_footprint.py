"""What processes use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nenrin.backends.compute import footprint

pytestmark = pytest.mark.skipif(not footprint.WATCHED, reason="there is no /proc")

_MB = 1_000_000


def test_memory_of_children_is_added() -> None:
    script = "held = b'x' * 100_000_000; print(flush=True); input()"
    before = footprint.memory(os.getpid(), 0)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in footprint.tree(os.getpid())
        for limit in (0, 2**62):  # exact, and as a cheap sum
            assert footprint.memory(child.pid, limit) > 100 * _MB
        assert footprint.memory(os.getpid(), 0) > before + 90 * _MB
        child.communicate(b"\n")


def test_a_process_that_is_gone_uses_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert footprint.memory(child.pid, 0) == 0
    assert footprint.cpu(child.pid) == 0.0


def test_cpu_is_that_of_the_process() -> None:
    assert footprint.cpu(os.getpid()) > 0.0
