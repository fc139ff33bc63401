"""Log lines: what they say, and what they are about."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from nenrin.core import logs

LOG = logging.getLogger("nenrin.tests")


def test_json_lines_say_what_they_are_about(tmp_path: Path) -> None:
    file = tmp_path / "nenrin.log"
    handler = logs.to_file(file, "json")
    try:
        with logs.about(environment="dev", deployment="delay"):
            with logs.about(run="run-1", step="report", deployment=""):
                LOG.info("attempt %d begins", 2)
            LOG.warning("späte\nZeile")
        other = threading.Thread(target=LOG.info, args=("elsewhere",))
        other.start()
        other.join()
        try:
            raise ValueError("no")
        except ValueError:
            LOG.exception("it failed")
    finally:
        logs.end(handler)
    first, second, third, failed = map(json.loads, file.read_text().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "nenrin.tests",
        "message": "attempt 2 begins",
        "environment": "dev",
        "deployment": "delay",
        "run": "run-1",
        "step": "report",
    }
    assert second["message"] == "späte\nZeile"
    assert "run" not in second
    assert "deployment" not in third
    assert "ValueError: no" in failed["error"]


def test_text_lines_name_it_too_and_leave_out_what_is_no_news(tmp_path: Path) -> None:
    file = tmp_path / "nenrin.log"
    handler = logs.to_file(file, "text")
    try:
        with logs.about(run="run-1", step="report"):
            LOG.info("attempt 1 begins")
            LOG.warning("attempt 1 failed")
        LOG.warning("by itself")
    finally:
        logs.end(handler)
    one, two = file.read_text().splitlines()
    assert one.endswith("WARNING nenrin.tests attempt 1 failed [run=run-1 step=report]")
    assert two.endswith("WARNING nenrin.tests by itself")


def test_a_handler_that_was_ended_hears_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = logs.to_stderr("json")
    LOG.info("one")
    logs.end(handler)
    LOG.warning("two")
    said = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["message"] for line in said] == ["one"]
