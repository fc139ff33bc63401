"""Whether a cluster's head is there: seen again and again, and believed after a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nenrin.backends.compute.ray_head import HeadWatch, reach
from nenrin.core.errors import UnavailableError


class Head:
    """A head that answers while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.asked = threading.Semaphore(0)

    def reach(self, _address: str) -> None:
        self.asked.release()
        if not self.up:
            raise OSError("refused")

    def asks(self, times: int) -> None:
        """Wait until it has been asked so often again."""
        for _ in range(times):
            assert self.asked.acquire(timeout=120)


@pytest.fixture
def head() -> Head:
    return Head()


@pytest.fixture
def watch(head: Head) -> Iterator[HeadWatch]:
    watch = HeadWatch("head:6379", patience=0.05, look=0.01, reach=head.reach)
    yield watch
    watch.end()


def test_a_head_that_answers_is_there(head: Head, watch: HeadWatch) -> None:
    head.asks(5)
    watch.check()
    watch.settle()
    assert not watch.is_back()


def test_a_head_that_is_gone_is_said_to_be(head: Head, watch: HeadWatch) -> None:
    head.asks(1)
    head.up = False
    with pytest.raises(UnavailableError, match="head:6379 is gone") as caught:
        watch.settle()
    assert "ray start" in caught.value.hint
    with pytest.raises(UnavailableError):
        watch.check()
    assert not watch.is_back()
    head.up = True
    assert watch.is_back()


def test_one_look_without_an_answer_is_not_enough(head: Head) -> None:
    head.up = False
    watch = HeadWatch("head:6379", patience=1000.0, look=0.01, reach=head.reach)
    head.asks(3)
    watch.check()
    head.up = True
    watch.settle()
    watch.end()


def test_nobody_is_at_a_port_that_is_closed() -> None:
    with pytest.raises(OSError, match="refused"):
        reach("127.0.0.1:1")
