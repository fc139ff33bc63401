"""Process time."""

from __future__ import annotations

from nenrin.core.timer import SystemTimer


def test_walls_and_cpus_go_forward() -> None:
    timer = SystemTimer()
    wall, cpu = timer.wall(), timer.cpu()
    timer.sleep(0.01)
    assert timer.wall() - wall >= 0.01
    assert timer.cpu() >= cpu
