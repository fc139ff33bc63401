"""The prediction log, asked: one line by its id, what a version answered, what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nenrin.serving import livelog
from nenrin.serving.livelog import LiveLog
from nenrin.serving.logged import (
    Answered,
    Tally,
    answered_by,
    find_prediction,
    first_and_newest,
    tally,
)
from nenrin.serving.router import Member, Variant
from tests.serving.logging_here import answered, ruled


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livelog, "PERIOD", 60)


def log(folder: Path, *predictions: dict[str, Any], segment_bytes: int = 2**20) -> None:
    """Write predictions, each by a log of its own, so that segments can be small."""
    for said in predictions:
        writer = LiveLog(folder, segment_bytes=segment_bytes)
        number = writer.counts.issued + 1
        told = {"id": f"prediction-{number}", "version": "version-a", "at": number, **said}
        variant = Variant(version=told["version"], members=told.get("members", ()))
        request = answered(
            writer,
            at=told["at"],
            ids=[told["id"]],
            variants=(variant,),
            values=[told.get("answer", 0.5)],
            rows=[told.get("row", {})],
        )
        writer.append(request, ruled())
        writer.close()


def test_a_prediction_is_found_in_any_segment(tmp_path: Path) -> None:
    log(tmp_path, *[{"answer": n / 10} for n in range(1, 6)], segment_bytes=1)
    assert len(list(tmp_path.glob("*.ndjson"))) > 1
    for number in range(1, 6):
        found = find_prediction(tmp_path, f"prediction-{number}")
        assert found is not None
        assert (found.number, found.answer) == (number, number / 10)
    assert find_prediction(tmp_path, "prediction-6") is None
    assert find_prediction(tmp_path / "nothing", "prediction-1") is None


def test_an_id_in_somebody_elses_row_is_not_that_prediction(tmp_path: Path) -> None:
    log(tmp_path, {"row": {"reply_to": "prediction-9"}}, {"id": "prediction-9", "answer": 0.9})
    log(tmp_path, {"row": {"reply_to": "prediction-9"}})
    found = find_prediction(tmp_path, "prediction-9")
    assert found is not None
    assert found.answer == 0.9


def test_torn_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    log(tmp_path, {}, {})
    segment = next(path for path in sorted(tmp_path.glob("*.ndjson")) if path.stat().st_size)
    whole = segment.read_bytes()
    segment.write_bytes(b'{"id":"prediction-2", "version":"version-a"\n' + whole)
    assert find_prediction(tmp_path, "prediction-1") is not None
    assert answered_by(tmp_path, "version-a").alone == 2
    last = sorted(tmp_path.glob("*.ndjson"))[-1]
    torn = whole.splitlines()[0].replace(b"prediction-1", b"prediction-3")
    last.write_bytes(last.read_bytes() + torn)  # without its end a restart takes it away
    assert find_prediction(tmp_path, "prediction-3") is None


def test_the_ends_of_a_log(tmp_path: Path) -> None:
    def ends() -> list[int | None]:
        return [found and found.number for found in first_and_newest(tmp_path)]

    assert ends() == [None, None]
    log(tmp_path, {})
    assert ends() == [1, 1]
    log(tmp_path, *[{} for _ in range(4)], segment_bytes=1)
    assert ends() == [1, 5]
    newest = [path for path in sorted(tmp_path.glob("*.ndjson")) if path.stat().st_size][-1]
    newest.write_bytes(newest.read_bytes() + b'damaged\n{"number":6')
    assert ends() == [1, 5]


def test_what_a_version_answered_alone_and_as_a_member(tmp_path: Path) -> None:
    parts = (Member("history", "version-a", 0.5), Member("anchor", "version-b", 0.5))
    log(
        tmp_path,
        {"version": "version-a", "at": 7},
        {"version": "version-m", "members": parts, "at": 3},
        {"version": "version-a", "at": 9},
        {"version": "version-c", "row": {"made_by": "version-a"}, "at": 99},
        segment_bytes=1,
    )
    assert answered_by(tmp_path, "version-a") == Answered(alone=2, shared=1, first=3, last=9)
    assert answered_by(tmp_path, "version-m") == Answered(alone=1, first=3, last=3)
    assert answered_by(tmp_path, "version-x") == Answered()


def test_what_was_lost_is_counted(tmp_path: Path) -> None:
    assert tally(tmp_path) == Tally(issued=0, written=0, dropped=0, lost=0, waiting=0)
    log(tmp_path, {}, {}, segment_bytes=1)
    writer = LiveLog(tmp_path)
    writer.issue()
    assert tally(tmp_path) == Tally(issued=3, written=2, dropped=0, lost=0, waiting=1)
    writer.close()  # what was issued and never appended is gone, as after a kill
    log(tmp_path, {})
    assert tally(tmp_path) == Tally(issued=4, written=3, dropped=0, lost=1, waiting=0)
