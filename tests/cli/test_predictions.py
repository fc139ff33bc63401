"""``nenrin predictions`` over a log that a plane writes meanwhile."""

from __future__ import annotations

import json

import pytest

from nenrin.api.folder import predictions_folder
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.segments import worker_folder
from tests.cli.running import Run
from tests.serving.logging_here import predict


def answered(run: Run, number: int) -> list[str]:
    """Log some predictions; their ids."""
    folder = predictions_folder(run.platform.settings.state_folder)
    log = LiveLog(worker_folder(folder, 0))
    ids = [each.id for each in predict(log, number)]
    log.close()
    return ids


def test_the_end_of_the_log(run: Run) -> None:
    assert "nothing is logged yet" in run("predictions", "tail").err
    ids = answered(run, 3)
    lines = run("predictions", "tail", "-n", "2").out.splitlines()
    assert [line.split()[2] for line in lines] == ids[1:]
    assert "delay v1  0.25 for UA-1  1.2 ms" in lines[0]
    assert run("predictions", "tail", "--deployment", "other", "--json").json == []
    assert run("predictions", "tail", "-n", "-1").code == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_following_tells_what_comes(
    run: Run, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    ids = answered(run, 2)
    waits = iter([1, 0, 2])

    class Waits(SystemTimer):
        def sleep(self, seconds: float) -> None:
            number = next(waits, None)
            if number is None:
                raise KeyboardInterrupt
            if number:
                ids.extend(answered(run, number))

    with monkeypatch.context() as patched:
        patched.setattr("nenrin.cli.predictions.SystemTimer", Waits)
        told = run("predictions", "tail", "-f", "-n", "1", *(["--json"] if as_json else []))
    assert told.code == 0
    lines = told.out.splitlines()
    found = [json.loads(line)["id"] if as_json else line.split()[2] for line in lines]
    assert found == ids[1:]
