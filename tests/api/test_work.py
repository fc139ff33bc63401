"""Long work: its order, its news, its end."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from nenrin.api.unfinished import Asked, Left, Unfinished
from nenrin.api.work import Do, Progress, Works
from nenrin.core.errors import NotFoundError
from nenrin.core.jobs import Job
from nenrin.pipelines.executor import Line, Report
from nenrin.pipelines.logs import StepLogs
from nenrin.testing.waiting import wait_until
from tests.api.fakes import step_error


@pytest.fixture
def works(tmp_path: Path) -> Works:
    return _works(tmp_path)


def _works(folder: Path, do: Do = lambda asked, progress: asked.verb) -> Works:
    return Works(folder / "nenrin.log", Unfinished(folder / "work"), do)


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


def test_what_steps_write_comes_in_between(tmp_path: Path) -> None:
    logs = StepLogs(tmp_path / "logs")
    works = Works(tmp_path / "log", Unfinished(tmp_path / "work"), _nothing, logs.listening)
    job = Job(id="job-1", run="run-1", name="report", call="")

    def report(progress: Progress) -> None:
        progress("report", 0, 1)
        logs.heard(job, Line("stdout", "half way"))
        logs.heard(job, Report(1, 2))
        progress("report", 1, 1)

    work = works.start("run", report)
    assert works.drain(5)
    logs.heard(job, Line("stdout", "nobody listens any more"))
    told = [said.data for said in work.after(0) if said.kind == "line"]
    assert told == [{"step": "report", "text": "half way"}]


def _nothing(asked: Asked, progress: Progress) -> None: ...


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
    assert running.wait(120)
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
    assert running.wait(120)
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


RUN = Asked(verb="run", what="run", environment="dev")
LOAD = Asked(verb="load", what="load flights", environment="dev", values={"name": "flights"})


def _killed(folder: Path, *asked: Asked) -> None:
    """A process that was killed at the first of these."""
    begun, go = threading.Event(), threading.Event()

    def do(asked: Asked, progress: Progress) -> None:
        begun.set()
        go.wait(10)

    works = _works(folder, do)
    for each in asked:
        works.ask(each)
    assert begun.wait(120)  # its thread waits until the test process ends


def test_what_was_cut_off_is_done_in_order_under_its_own_name(tmp_path: Path) -> None:
    _killed(tmp_path, RUN, LOAD)
    done: list[str] = []
    works = _works(tmp_path, lambda asked, progress: done.append(asked.verb))
    resumed = works.resume()
    assert works.drain(5)
    assert [work.name for work in resumed] == ["work-1", "work-2"]
    assert done == ["run", "load"]
    assert works.ask(RUN).name == "work-3"
    assert works.drain(5)
    assert Unfinished(tmp_path / "work").left == []


def test_a_process_that_does_not_go_on_says_what_is_left(tmp_path: Path) -> None:
    _killed(tmp_path, RUN)
    works = _works(tmp_path)
    assert works.left() == [{"work": "work-1", "what": "run", "state": "cut off"}]
    works.ask(LOAD)
    assert works.drain(5)
    assert [left["what"] for left in works.left()] == ["run"]
    works.ask(RUN)  # the same again stands for it
    assert works.drain(5)
    assert works.left() == Unfinished(tmp_path / "work").left == []


def test_what_kills_every_process_is_given_up(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "work")
    unfinished.keep(Left(name="work-7", asked=RUN, begun=3))
    done: list[str] = []
    works = _works(tmp_path, lambda asked, progress: done.append(asked.verb))
    assert works.resume() == []
    (said,) = works.get("work-7").after(0)
    assert "3 processes were killed at it" in said.data["error"]["message"]
    assert Unfinished(tmp_path / "work").left == []
    assert done == []


def test_work_that_ended_or_was_called_off_is_not_gone_on_with(tmp_path: Path) -> None:
    def do(asked: Asked, progress: Progress) -> None:
        raise step_error()

    works = _works(tmp_path, do)
    works.ask(RUN)
    assert works.drain(5)
    assert Unfinished(tmp_path / "work").left == []
    go = threading.Event()
    works = _works(tmp_path, lambda asked, progress: go.wait(5))
    running = works.ask(RUN)
    waiting = works.ask(LOAD)
    works.cancel(waiting.name)
    wait_until(lambda: running.state == "running")  # its file is not being written any more
    assert [left.asked for left in Unfinished(tmp_path / "work").left] == [RUN]
    go.set()
    assert works.drain(5)
    assert waiting.state == "cancelled"
    assert Unfinished(tmp_path / "work").left == []


def test_a_process_that_closes_leaves_its_work_to_the_next(tmp_path: Path) -> None:
    running, go = threading.Event(), threading.Event()

    def do(asked: Asked, progress: Progress) -> None:
        running.set()
        go.wait(5)
        progress("load", 1, 2)

    works = _works(tmp_path, do)
    works.ask(RUN)
    works.ask(LOAD)
    assert running.wait(120)
    works.close()
    go.set()
    assert works.drain(5)
    left = Unfinished(tmp_path / "work").left
    assert [(each.asked.verb, each.begun) for each in left] == [("run", 0), ("load", 0)]


def test_a_file_that_came_with_work_goes_with_it(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "work")
    file, stray = unfinished.upload(".csv"), unfinished.upload(".csv")
    asked = msgspec.structs.replace(LOAD, file=str(file))
    unfinished.keep(Left(name="work-1", asked=asked))
    (tmp_path / "work" / "work-2.part").write_text("torn")
    (tmp_path / "work" / "work-3.json").write_text('{"name": "wor')
    again = Unfinished(tmp_path / "work")
    assert [left.asked for left in again.left] == [asked]
    assert file.exists()
    assert not stray.exists()
    again.forget(again.left[0])
    assert list((tmp_path / "work").iterdir()) == []
