"""``nr.resources``: what it takes, and what comes of it."""

from __future__ import annotations

import pytest

import nenrin as nr
from nenrin.core.errors import ProjectError
from nenrin.core.jobs import Job, Needs, Room, fitting


def test_says_what_work_takes() -> None:
    assert nr.resources() == Needs(1.0, None, 0.0)
    assert nr.resources(cpus=2, gpus=0.5, memory="2GB") == Needs(2.0, 2_000_000_000, 0.5)


@pytest.mark.parametrize("wrong", [{"cpus": -1}, {"gpus": float("nan")}, {"memory": "2 apples"}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ProjectError):
        nr.resources(**wrong)  # type: ignore[arg-type]


def test_a_step_keeps_them() -> None:
    @nr.step(resources=nr.resources(cpus=2))
    def report() -> None:
        pass

    assert report.declared.needs == Needs(2.0)
    assert nr.map("x", resources=nr.resources(gpus=1))(lambda x: x).declared.needs.gpus == 1.0


@pytest.mark.parametrize("options", [{"resources": 2}, {"memory": "2GB"}, {"cpus": 2}])
def test_a_step_says_how_they_are_written(options: dict[str, object]) -> None:
    with pytest.raises(ProjectError) as caught:
        nr.step(**options)(lambda: None)  # type: ignore[call-overload]
    assert "nr.resources(" in caught.value.hint


def test_a_model_keeps_them() -> None:
    customers = nr.file("customers.csv", key="id")

    @nr.model(rows=customers, label=customers.left, resources=nr.resources(memory="1GB"))
    def left(rows: object) -> object:
        return rows

    assert left.declared.needs == Needs(1.0, 1_000_000_000)


def test_no_more_graphics_processors_than_there_are() -> None:
    waiting = [
        Job(id=str(n), run="r", name="s", call="m:f", needs=Needs(1.0, None, 0.5)) for n in range(4)
    ]
    assert len(fitting(waiting, Room(9.0, 0, 9, gpus=1.0))) == 2
    assert fitting(waiting, Room(9.0, 0, 9)) == []
