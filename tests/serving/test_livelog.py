from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nenrin.core.errors import ConflictError
from nenrin.serving import livelog
from nenrin.serving.answered import prediction_ids
from nenrin.serving.livelog import LiveLog
from nenrin.serving.segments import Counts, copy_log, read_counts, read_predictions
from tests.serving.logging_here import predict


def killed(log: LiveLog) -> None:
    """What ``kill -9`` leaves behind: nothing that waits is written."""
    log._waiting.clear()
    log._closing = True
    log._wake.set()
    log._writer.join()
    log._lock.release()


def numbers(folder: Path) -> list[int]:
    return [prediction.number for prediction in read_predictions(folder)]


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livelog, "PERIOD", 60)


def test_predictions_come_back(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    made = [*predict(log), *predict(log, 2)]
    log.close()
    assert list(read_predictions(tmp_path)) == made
    assert read_counts(tmp_path) == Counts(3, 0, 0)


def test_a_kill_is_counted_and_numbers_go_on(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    predict(log)
    log._write_waiting()
    predict(log)
    predict(log)
    killed(log)

    log = LiveLog(tmp_path)
    assert log.counts == Counts(issued=3, dropped=0, lost=2)
    assert predict(log)[0].number == 4
    log.close()
    assert numbers(tmp_path) == [1, 4]

    log = LiveLog(tmp_path)
    assert log.counts == read_counts(tmp_path) == Counts(issued=4, dropped=0, lost=2)
    log.close()


def test_a_torn_line_is_cut_and_counted(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    for _ in range(3):
        predict(log)
    log.close()
    segment = next(tmp_path.glob("*.ndjson"))
    os.truncate(segment, segment.stat().st_size - 10)
    assert numbers(tmp_path) == [1, 2]

    log = LiveLog(tmp_path)
    assert log.counts == Counts(issued=3, dropped=0, lost=1)
    predict(log)
    log.close()
    assert numbers(tmp_path) == [1, 2, 4]


def test_counters_lost_in_a_power_cut_give_no_number_twice(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    for _ in range(3):
        predict(log)
    log.close()
    (tmp_path / "counters").unlink()
    log = LiveLog(tmp_path)
    assert predict(log)[0].number == 4
    log.close()


def test_segments_follow_each_other(tmp_path: Path) -> None:
    log = LiveLog(tmp_path, segment_bytes=1)
    for _ in range(3):
        predict(log)
        log._write_waiting()
    log.close()
    log = LiveLog(tmp_path)
    predict(log)
    log.close()
    assert numbers(tmp_path) == [1, 2, 3, 4]
    assert len(list(tmp_path.glob("*.ndjson"))) == 4
    assert log.counts.lost == 0


def test_what_is_too_much_is_dropped_and_counted(tmp_path: Path) -> None:
    log = LiveLog(tmp_path, capacity=2)
    for _ in range(5):
        predict(log)
    log.close()
    assert numbers(tmp_path) == [1, 2]
    log = LiveLog(tmp_path)
    assert log.counts == Counts(issued=5, dropped=3, lost=0)
    log.close()


def on_a_disk(room: list[int]) -> Callable[[int, bytes], int]:
    """``os.write`` on a disk with so many bytes of room."""
    write = os.write

    def written(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        size = write(file, data[: room[0]])
        room[0] -= size
        return size

    return written


def test_a_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LiveLog(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", on_a_disk([40]))
        predict(log)
        log._write_waiting()
        predict(log)
        log._write_waiting()
    assert numbers(tmp_path) == []
    log.close()
    assert numbers(tmp_path) == [1, 2]
    assert read_counts(tmp_path) == Counts(2, 0, 0)


def test_what_waited_for_a_full_disk_is_written_group_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)
    predict(log)
    log._write_waiting()
    segment = next(tmp_path.glob("*.ndjson"))
    line, room = segment.stat().st_size, [0]
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", on_a_disk(room))
        for _ in range(6):
            predict(log)
        disk.setattr(livelog, "_GROUP_ROWS", 2)
        log._write_waiting()
        assert numbers(tmp_path) == [1]
        for more, there in ((1, 1), (4.5, 5), (0, 5), (2, 7)):  # of lines: half a group is none
            room[0] = int(more * line)
            log._write_waiting()
            assert numbers(tmp_path) == list(range(1, there + 1))
            assert segment.read_bytes().count(b"\n") == there
            assert segment.stat().st_size == there * line
    log.close()
    assert numbers(tmp_path) == list(range(1, 8))
    assert read_counts(tmp_path) == Counts(7, 0, 0)


def test_one_process_a_folder(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    with pytest.raises(ConflictError):
        LiveLog(tmp_path)
    log.close()
    LiveLog(tmp_path).close()


def test_a_folder_without_a_log(tmp_path: Path) -> None:
    assert read_counts(tmp_path) == Counts(0, 0, 0)
    assert numbers(tmp_path) == []


def test_ids_are_derived() -> None:
    assert prediction_ids("delay", 1, "", 1, 2) == prediction_ids("delay", 1, "", 1, 2)
    askings = [("delay", 1, "", 1), ("delay", 1, "0", 1), ("delay", 1, "1", 1), ("d", 1, "1", 2)]
    ids = [each for asking in askings for each in prediction_ids(*asking, 300)]
    assert len({*ids}) == 1_200


def test_a_copy_of_a_log_that_goes_on_loses_nothing(tmp_path: Path) -> None:
    """What was issued after the copy is not lost in it; what was lost before stays so."""
    log = LiveLog(tmp_path / "log", segment_bytes=500)
    for number in range(1, 21):
        predict(log)
        if number % 5 == 0:
            log._write_waiting()
    log.issue()  # it is under way when the copy is made
    to = tmp_path / "copy"
    to.mkdir()
    copy_log(tmp_path / "log", to)
    log.close()
    assert [each.number for each in read_predictions(to)] == list(range(1, 21))
    assert read_counts(to).issued == 20
    resumed = LiveLog(to)
    assert (resumed.counts.issued, resumed.counts.lost) == (20, 0)
    resumed.close()
    empty = tmp_path / "empty"
    empty.mkdir()
    copy_log(tmp_path / "none", empty)
    assert not list(empty.iterdir())
