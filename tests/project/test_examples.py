"""The examples' data, as a load sees it; what they learn is the journeys' business."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.project.init import write_example
from nenrin.project.loader import load_project
from tests.data.fakes import Room

AT = 1_800_000_000_000_000


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "store").mkdir()
    return Room(tmp_path / "store")


def test_footfall_is_a_row_a_counter_and_hour(tmp_path: Path, room: Room):
    write_example(tmp_path, "footfall")
    datasets = load_project(tmp_path).datasets
    hours = room.service.load("dev", datasets["hours"], AT)
    counts = room.service.load("dev", datasets["counts"], AT)
    # five counters, and the year's hours from six in the morning on, but for the one that the clock skipped
    assert hours.rows == counts.rows == 5 * (365 * 24 - 6 - 1)
    assert counts.bound - hours.bound == 65 * 60 * 1_000_000
    assert room.service.profile(counts)["columns"]["people"]["nulls"] < 200


def test_flights_declares_what_the_design_shows(tmp_path: Path):
    write_example(tmp_path, "flights")
    project = load_project(tmp_path)
    assert list(project.datasets) == ["flights", "arrivals", "weather"]
    assert list(project.models) == ["delay"]
    assert project.datasets["weather"].declared.key == ("origin", "observed_at")
