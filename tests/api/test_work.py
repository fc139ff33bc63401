"""Long work: its order, its news, its end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nenrin.api.work import Progress, Works
from nenrin.core.errors import NotFoundError
from tests.api.fakes import step_error


@pytest.fixture
def works(tmp_path: Path) -> Works:
    return Works(tmp_path / "nenrin.log")


def test_a_result_comes_after_the_progress(works: Works) -> None:
    def job(progress: Progress) -> str:
        progress("load", 1, 2)
        progress("fit", 0, 0, "twin")
        progress("load", 2, 2)
        return "report"

    work = works.start("run", job)
    assert works.drain(5)
    assert [(said.kind, said.data) for said in work.after(0)] == [
        ("progress", {"stage": "fit", "done": 0, "total": 0, "note": "twin"}),
        ("progress", {"stage": "load", "done": 2, "total": 2, "note": ""}),
        ("result", "report"),
    ]
    assert work.describe() == {"work": "work-1", "what": "run", "state": "done"}


def test_news_are_told_once(works: Works) -> None:
    work = works.start("run", lambda progress: progress("load", 1, 1))
    assert works.drain(5)
    first = work.after(0)
    assert work.after(first[0].sequence) == first[1:]
    assert work.after(first[-1].sequence) == []


def test_an_error_keeps_its_shape(works: Works) -> None:
    def job(progress: Progress) -> None:
        raise step_error()

    work = works.start("run", job)
    assert works.drain(5)
    (said,) = work.after(0)
    assert said.kind == "error"
    assert said.data == {"error": step_error().as_dict()}
    told = {"work": "work-1", "what": "run", "state": "failed", "error": step_error().as_dict()}
    assert work.describe() == told


def test_an_unforeseen_error_points_at_the_log(works: Works, tmp_path: Path) -> None:
    def job(progress: Progress) -> None:
        raise ZeroDivisionError("nothing to divide by")

    work = works.start("run", job)
    assert works.drain(5)
    (said,) = work.after(0)
    assert said.data["error"]["code"] == "error"
    assert "ZeroDivisionError" in said.data["error"]["message"]
    assert said.data["error"]["where"] == str(tmp_path / "nenrin.log")


def test_work_that_exits_has_an_end(works: Works) -> None:
    def job(progress: Progress) -> None:
        raise SystemExit(4)

    work = works.start("run", job)
    assert works.drain(5)
    (said,) = work.after(0)
    assert "SystemExit: 4" in said.data["error"]["message"]


def test_one_at_a_time_in_the_order_they_came(works: Works) -> None:
    go, order = threading.Event(), []
    works.start("first", lambda progress: (go.wait(5), order.append("first")))
    second = works.start("second", lambda progress: order.append("second"))
    third = works.start("third", lambda progress: order.append("third"))
    assert second.state == third.state == "waiting"
    go.set()
    assert works.drain(5)
    assert order == ["first", "second", "third"]


def test_cancelling_stops_at_the_next_report(works: Works) -> None:
    running, go, swallowed = threading.Event(), threading.Event(), []

    def job(progress: Progress) -> None:
        running.set()
        go.wait(5)
        try:
            progress("load", 1, 2)
        except Exception as error:  # noqa: BLE001 - as code around a user's function does
            swallowed.append(error)

    work = works.start("run", job)
    assert running.wait(5)
    work.cancel()
    go.set()
    assert works.drain(5)
    assert work.state == "cancelled"
    assert [said.kind for said in work.after(0)] == ["cancelled"]
    assert swallowed == []


def test_what_waits_is_cancelled_before_it_begins(works: Works) -> None:
    go, ran = threading.Event(), []
    works.start("first", lambda progress: go.wait(5))
    waiting = works.start("second", ran.append)
    waiting.cancel()
    go.set()
    assert works.drain(5)
    assert waiting.state == "cancelled"
    assert ran == []


def test_a_beat_keeps_out_of_the_way(works: Works) -> None:
    running, go, beats = threading.Event(), threading.Event(), []
    works.start("run", lambda progress: (running.set(), go.wait(5)))
    assert running.wait(5)
    assert not works.between(lambda: beats.append(1))
    go.set()
    assert works.drain(5)
    while not works.between(lambda: beats.append(2)):
        pass
    assert beats == [2]


def test_old_work_is_forgotten_and_said_so(works: Works) -> None:
    for _ in range(40):
        works.start("run", lambda progress: None)
        assert works.drain(5)
    assert len(works.all()) <= 21
    with pytest.raises(NotFoundError):
        works.get("work-1")
    assert works.get("work-40").state == "done"
