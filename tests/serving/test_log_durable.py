"""What becomes of predictions when the disk is full, slow, or the process is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import UnavailableError
from nenrin.serving import livelog
from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import LogRules
from nenrin.serving.segments import Counts, read_counts, read_predictions
from tests.serving.logging_here import answered, predict, ruled

DURABLE = LogRules(durable=True)


async def kept(log: LiveLog, rows: int = 1) -> str:
    """Log a request durably; ``kept``, or why not."""
    try:
        waits = log.append(answered(log, rows), ruled(DURABLE))
        assert waits is not None
        await waits
    except UnavailableError as error:
        return error.message
    return "kept"


def numbers(folder: Path) -> list[int]:
    return [prediction.number for prediction in read_predictions(folder)]


def refuse(*_: Any) -> Any:
    raise OSError(28, "No space left on device")


def test_an_answer_waits_for_one_sync_of_all_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go, syncs = threading.Event(), threading.Event(), []
    log = LiveLog(tmp_path)
    sync = os.fsync

    def slow(file: int) -> None:
        syncs.append(file)
        entered.set()
        assert go.wait(120)
        sync(file)

    monkeypatch.setattr(os, "fsync", slow)

    async def run() -> list[str]:
        first = asyncio.create_task(kept(log))
        while not entered.is_set():
            await asyncio.sleep(0.001)  # the event loop is free while the disk is slow
        rest = [asyncio.create_task(kept(log, 2)) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in (first, *rest))
        go.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(run()) == ["kept"] * 21
    assert len(syncs) == 2
    assert numbers(tmp_path) == list(range(1, 42))
    log.close()


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_full_disk_refuses_the_durable_and_keeps_the_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    log = LiveLog(tmp_path)

    async def full() -> list[str]:
        with monkeypatch.context() as disk:
            disk.setattr(os, fails, refuse)
            predict(log)
            said = [await kept(log), await kept(log, 2)]
        return [*said, await kept(log)]

    refused = "the prediction log cannot be written: No space left on device"
    assert asyncio.run(full()) == [refused, refused, "kept"]
    assert log.counts == Counts(issued=5, dropped=3, lost=0)
    log.close()
    assert sorted(numbers(tmp_path)) == [1, 5]
    assert read_counts(tmp_path) == Counts(5, 3, 0)


def test_what_waits_for_a_full_disk_is_not_in_the_way_of_the_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)
    write, room = os.write, [0]

    def little(file: int, data: Any) -> int:
        left = room[0] - os.fstat(file).st_size
        return write(file, bytes(data)[:left]) if left > 0 else refuse()

    async def full() -> list[str]:
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", little)
            predict(log, 50)
            said = [await kept(log)]
            room[0] = 900  # for one, not for fifty
            said.append(await kept(log))
            assert numbers(tmp_path) == [52]
        return [*said, await kept(log)]

    refused = "the prediction log cannot be written: No space left on device"
    assert asyncio.run(full()) == [refused, "kept", "kept"]
    log.close()
    kept_then = numbers(tmp_path)
    assert kept_then[0] == 52
    assert sorted(kept_then) == [*range(1, 51), 52, 53]
    assert read_counts(tmp_path) == Counts(53, 1, 0)


def test_nobody_waits_for_a_line_that_will_never_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)

    def exhausted(*_: Any) -> Any:
        raise MemoryError("no memory")

    async def run() -> list[str]:
        with monkeypatch.context() as machine:
            machine.setattr(os, "write", exhausted)
            said = await asyncio.wait_for(kept(log), 10)
        return [said, await kept(log)]

    assert asyncio.run(run()) == ["the prediction log cannot be written: no memory", "kept"]
    assert log.counts == Counts(issued=2, dropped=1, lost=0)
    log.close()


def test_half_a_line_on_a_full_disk_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)
    write, room = os.write, [700]

    def little(file: int, data: Any) -> int:
        if not room[0]:
            refuse()
        written = write(file, bytes(data)[: room[0]])
        room[0] -= written
        return written

    async def full() -> list[str]:
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", little)
            said = [await kept(log), await kept(log, 3)]
            disk.setattr(os, "ftruncate", refuse)
            room[0] = 10
            said.append(await kept(log))
        return [*said, await kept(log)]

    said = asyncio.run(full())
    assert [each == "kept" for each in said] == [True, False, False, True]
    log.close()
    assert numbers(tmp_path) == [1, 6]
    assert b"}{" not in next(tmp_path.glob("*.ndjson")).read_bytes()


def test_too_many_waiting_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: go.wait(10))
    go.set()
    log = LiveLog(tmp_path, capacity=3)
    go.clear()

    async def run() -> list[str]:
        waiting = [asyncio.create_task(kept(log, 2))]
        await asyncio.sleep(0)
        refused = await kept(log, 2)
        predict(log, 2)
        go.set()
        return [refused, await waiting[0]]

    assert asyncio.run(run()) == ["too many predictions wait for the disk", "kept"]
    assert log.counts == Counts(issued=6, dropped=4, lost=0)
    log.close()


def test_a_slow_disk_never_holds_up_the_fast_and_what_is_too_much_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livelog, "_GROUP_ROWS", 1)
    entered, go, write = threading.Event(), threading.Event(), os.write

    def slow(file: int, data: bytes) -> int:
        entered.set()
        assert go.wait(120)
        return write(file, data)

    log = LiveLog(tmp_path, capacity=10)
    monkeypatch.setattr(os, "write", slow)
    predict(log)
    assert entered.wait(120)
    for _ in range(20):
        predict(log)  # while the disk stands still
    assert log.waiting == 10
    go.set()
    log.close()
    assert numbers(tmp_path) == list(range(1, 11))
    assert read_counts(tmp_path) == Counts(21, 11, 0)


def test_what_cannot_be_written_is_dropped_and_stops_nobody(tmp_path: Path) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise ValueError("no text")

    log = LiveLog(tmp_path)
    predict(log)
    log.append(answered(log, rows=[{"flight_id": Unwritable()}]), ruled())
    predict(log)
    log.close()
    assert numbers(tmp_path) == [1, 3]
    assert read_counts(tmp_path) == Counts(3, 1, 0)


@pytest.mark.parametrize("rules", [LogRules(), DURABLE], ids=["fast", "durable"])
def test_kill_9_loses_nothing_that_was_acknowledged_durably(
    tmp_path: Path, rules: LogRules
) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_answers, args=(tmp_path, rules, there)
    )
    process.start()
    acknowledged = [here.recv() for _ in range(50)]
    process.kill()
    process.join()
    while here.poll():
        acknowledged.append(here.recv())
    written = {prediction.id for prediction in read_predictions(tmp_path)}
    if rules.durable:
        assert written >= {*acknowledged}
    log = LiveLog(tmp_path)
    counts = log.counts
    log.close()
    assert counts.dropped == 0
    assert counts.issued == len(written) + counts.lost >= len(acknowledged)


def _answers(folder: Path, rules: LogRules, acknowledge: Connection) -> None:
    log = LiveLog(folder)

    async def run() -> None:
        while True:
            request = answered(log)
            waits = log.append(request, ruled(rules))
            if waits is not None:
                await waits
            acknowledge.send(request.ids[0])

    asyncio.run(run())
