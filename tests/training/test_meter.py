"""Splitting a job's CPU time."""

from __future__ import annotations

from nenrin.training.meter import Meter


class FakeTimer:
    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_users_time_is_what_the_platform_does_not_use_inside_it() -> None:
    timer = FakeTimer()
    meter = Meter(timer)
    timer.sleep(1)
    with meter.users():
        timer.sleep(5)
        with meter.platform():
            timer.sleep(2)
    with meter.platform():
        timer.sleep(3)
    assert meter.user == 5
    assert meter.platform_cpu == 6
    assert meter.wall == 11


def test_time_counts_when_the_users_code_raises() -> None:
    timer = FakeTimer()
    meter = Meter(timer)
    try:
        with meter.users():
            timer.sleep(2)
            raise ValueError
    except ValueError:
        pass
    assert meter.user == 2
