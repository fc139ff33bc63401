"""Runs of graphs: what is remembered is taken, what is not runs side by side, what fails leaves the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.backends.sql.pipelines import SqlResults
from nenrin.core.calendar import SystemCalendar
from nenrin.core.digest import digest
from nenrin.core.errors import StepError
from nenrin.core.instants import DAY
from nenrin.core.jobs import Job, Room
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.engine import Engine
from nenrin.pipelines.executor import WorkerContext
from nenrin.pipelines.graph import Fan, Graph, Node, Work
from nenrin.pipelines.logs import StepLogs

CALLED: list[str] = []


def work(_context: WorkerContext, payload: Any) -> str:
    """What a worker does here: note the call, and fail where it is told to."""
    CALLED.append(payload["name"])
    if payload.get("fails"):
        raise StepError(f"{payload['name']} raised", hint="mend it")
    return digest(payload)


class Here:
    """An engine and what it stands on."""

    def __init__(self, folder: Path) -> None:
        self.units = Database(f"sqlite:///{folder / 'state.db'}", durable=False)
        self.store = LocalStore(folder / "store")
        self.calendar = Moved()
        self.folder = folder
        self.engine = Engine(self.units, SqlResults(), self.calendar, SystemTimer(), "dev")
        self.gone: set[str] = set()

    def run(self, *nodes: Node) -> Any:
        CALLED.clear()
        dispatcher = Dispatcher(
            units=self.units,
            jobs=SqlJobs(),
            executor=lambda: InProcessExecutor(self.store, lambda _: {}),
            calendar=self.calendar,
            timer=SystemTimer(),
            environment="dev",
            machine=Room(2.0, 0, 8),
            scratch=self.folder / "scratch",
            worker="here",
            logs=StepLogs(self.folder / "logs"),
        )
        return self.engine.run(Graph(nodes), None, dispatcher)

    def node(
        self, name: str, *inputs: str, parts: dict[str, Any] | None = None, **more: Any
    ) -> Node:
        """A node that a worker runs; ``parts`` of None: by its name alone."""
        fails = more.pop("fails", False)

        def job(read: Mapping[str, str]) -> Job:
            payload = {"name": name, "read": dict(read), "fails": fails, "parts": parts}
            return Job(id="", run="run-1", name=name, call=f"{__name__}:work", payload=payload)

        return Node(
            **{
                "name": name,
                "stage": "test",
                "inputs": inputs,
                "parts": parts if parts is not None else {},
                "intact": lambda output: output not in self.gone,
                "work": Work(job=job, kept=str),
                **more,
            }
        )


class Moved:
    """A calendar that tests move."""

    def __init__(self) -> None:
        self.at = SystemCalendar().now()

    def now(self) -> int:
        return self.at


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    made = Here(tmp_path)
    yield made
    made.units.close()


def test_what_is_remembered_is_not_run_again(here: Here) -> None:
    nodes = [here.node("a"), here.node("b", "a"), here.node("c", "a", "b")]
    first = here.run(*nodes)
    assert CALLED == ["a", "b", "c"]
    assert first.ran == ("a", "b", "c")
    again = here.run(*nodes)
    assert CALLED == []
    assert again.outputs == first.outputs


def test_a_changed_part_runs_what_is_below_it_and_says_why(here: Here) -> None:
    here.run(here.node("a", parts={"code": 1}), here.node("b", "a"), here.node("c"))
    done = here.run(here.node("a", parts={"code": 2}), here.node("b", "a"), here.node("c"))
    assert CALLED == ["a", "b"]
    assert done.why == {"a": "changed: code", "b": "changed: a"}


def test_an_equal_output_stops_there(here: Here) -> None:
    def same(code: int) -> Node:
        node = here.node("a", parts={"code": code})
        return Node(
            name="a",
            stage="test",
            parts={"code": code},
            work=Work(job=node.work.job, kept=lambda _: "always"),  # type: ignore[union-attr]
        )

    here.run(same(1), here.node("b", "a"))
    here.run(same(2), here.node("b", "a"))
    assert CALLED == ["a"]


def test_a_node_without_parts_runs_every_time(here: Here) -> None:
    nodes = [here.node("a", parts=None)]
    nodes = [Node(name="a", stage="test", parts=None, work=nodes[0].work, note="cache=False")]
    here.run(*nodes)
    done = here.run(*nodes)
    assert CALLED == ["a"]
    assert done.why == {"a": "cache=False"}


def test_an_output_that_is_gone_is_computed_again(here: Here) -> None:
    nodes = [here.node("a"), here.node("b", "a")]
    first = here.run(*nodes)
    here.gone = {first.outputs["a"]}
    done = here.run(*nodes)
    assert CALLED == ["a"]
    assert done.why == {"a": "its stored output is gone"}
    (planned, _) = here.engine.plan(Graph(nodes))
    assert (planned.does, planned.why) == ("runs", "its stored output is gone")


def test_what_is_kept_for_a_day_is_too_old_after_two(here: Here) -> None:
    node = here.node("a", keep=DAY)
    here.run(node)
    here.calendar.at += DAY
    here.run(node)
    assert CALLED == []
    here.calendar.at += 1
    assert here.run(node).why == {"a": "what is remembered is too old"}


def test_a_failure_leaves_what_does_not_need_it(here: Here) -> None:
    nodes = [here.node("a", fails=True), here.node("b"), here.node("c", "b"), here.node("d", "a")]
    with pytest.raises(StepError, match="a raised"):
        here.run(*nodes)
    assert "d" not in CALLED
    here.run(here.node("a"), *nodes[1:])
    assert "b" not in CALLED


def fan(here: Here, elements: list[str]) -> list[Node]:
    """A node that becomes one for each element, and one below it."""

    def children(_: Mapping[str, str]) -> list[Node]:
        return [here.node(f"each[{e}]", parts={"element": e}) for e in elements]

    def gathered(outputs: list[str]) -> str:
        return digest(outputs)

    return [
        Node(name="list", stage="test", parts={"is": elements}, run=lambda _: digest(elements)),
        Node(
            name="each",
            stage="test",
            inputs=("list",),
            parts={},
            fan=Fan(children=children, gathered=gathered),
        ),
        here.node("below", "each"),
    ]


def test_a_fan_runs_only_its_new_children(here: Here) -> None:
    here.run(*fan(here, ["x", "y"]))
    assert CALLED == ["each[x]", "each[y]", "below"]
    here.run(*fan(here, ["z", "x", "y"]))
    assert CALLED == ["each[z]", "below"]
    assert here.run(*fan(here, ["z", "x", "y"])).ran == ()


def test_an_empty_fan_gives_an_empty_list(here: Here) -> None:
    done = here.run(*fan(here, []))
    assert done.outputs["each"] == digest([])
    assert CALLED == ["below"]


def test_progress_that_stops_the_run_ends_its_jobs(here: Here) -> None:
    class StopError(BaseException):
        """Ctrl-C."""

    def stop(name: str, done: int, total: int, note: str) -> None:
        if done == 1:
            raise StopError

    dispatcher = Stopped()
    graph = Graph([here.node("a"), here.node("b", "a")])
    with pytest.raises(StopError):
        here.engine.run(graph, stop, dispatcher)  # type: ignore[arg-type]
    assert dispatcher.cancelled


class Stopped:
    """A dispatcher whose first job ends and whose second never does."""

    def __init__(self) -> None:
        self.cancelled = False
        self.jobs: list[tuple[Job, Callable[..., str]]] = []

    def add(self, job: Job, commit: Callable[..., str]) -> None:
        self.jobs.append((job, commit))

    def step(self, _wait: float) -> list[Any]:
        from nenrin.pipelines.dispatcher import Ended

        return [Ended(job=self.jobs[-1][0], output="digest")]

    def newest(self, _job: str) -> str:
        return ""

    def cancel(self) -> None:
        self.cancelled = True
