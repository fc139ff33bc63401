"""The four healing actions: each fault is made on purpose, mended by itself, and seen in the ledger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.errors import UnavailableError
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.waiting import wait_until
from tests.journeys.crashing import children
from tests.journeys.shell import CHURN, Shell, customers, plane_of

TWO_SHAPES = CHURN.replace("range(300)", "range(30)")


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    customers(400).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first_run(shell)
    return shell


def _platform(shell: Shell) -> Platform:
    return Platform.open(Settings.read(folder=shell.folder))


def _healed(shell: Shell, kind: str) -> list[dict[str, Any]]:
    with _platform(shell) as platform:
        events = platform.units.find("dev", kind=f"healed.{kind}")
        return [{"what": event.subject, **event.body} for event in events]


def _damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")


def test_a_version_that_cannot_be_read_is_replaced_by_the_last_good_one(shell: Shell) -> None:
    with _platform(shell) as platform:
        first = platform.serving.show("dev", "churned").champion
    (shell.project).write_text(TWO_SHAPES)
    shell.here("run", code=None)
    with _platform(shell) as platform:
        versions = platform.registry.list("dev")
        second = next(version.id for version in versions if version.id != first)
        now = platform.calendar.now()
        with platform.units.write("dev", now) as unit:
            platform.serving.promote(unit, "churned", second, reason="by hand")
        _damage(platform.store.file(platform.registry.get("dev", second).content))
    with shell.up() as up:
        assert f"churned was routed to {first}" in up.text
        records = up.get("/api/deployments/churned/example").json()["records"]
        assert up.post("/invocations?deployment=churned", records).status_code == 200
        assert up.get("/api/status").json()["deployments"][0]["champion"] == first
    (event,) = _healed(shell, "rerouted")
    assert (event["what"], event["from"], event["to"]) == ("churned", second, first)
    assert f"routed to {first}" in shell.here("status").out
    assert "holds" in shell.here("audit", "verify").out
    with _platform(shell) as platform:
        assert platform.registry.get("dev", second).status == "bad"
        assert platform.loop.heal("dev") == []


def test_a_store_that_is_away_makes_nothing_bad(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(store: LocalStore, digest: str) -> None:
        raise UnavailableError("the object store does not answer as it should: SlowDown")

    with _platform(shell) as platform:
        before = platform.units.head("dev")
        monkeypatch.setattr(LocalStore, "verify", away)
        (said,) = platform.loop.heal("dev")
        assert said.startswith("not all that is served was looked at: the object store does not")
        assert platform.units.head("dev") == before
        assert "bad" not in {version.status for version in platform.registry.list("dev")}


def test_what_is_frozen_or_has_nothing_better_is_told(shell: Shell) -> None:
    with _platform(shell) as platform:
        champion = platform.serving.show("dev", "churned").champion
        platform.store.file(platform.registry.get("dev", champion).content).unlink()
        (said,) = platform.loop.heal("dev")
        assert "nothing it served before can be read" in said
        platform.loop.freeze("dev", "churned")
        (said,) = platform.loop.heal("dev")
        assert "it is frozen" in said
    assert _healed(shell, "rerouted") == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_feature_state_is_rebuilt_from_its_data(shell: Shell, gone: bool) -> None:
    with _platform(shell) as platform:
        features = platform.serving.show("dev", "churned").route.champion.features
        path = platform.store.file(features)
        path.unlink() if gone else _damage(path)
        (said,) = platform.loop.heal("dev")
        assert "was rebuilt from its data" in said
        platform.store.verify(features)
        assert platform.loop.heal("dev") == []
    (event,) = _healed(shell, "rebuilt")
    assert event["what"] == "churned"
    assert event["was"] == event["is"] == features
    assert "the feature state of churned was rebuilt" in shell.here("status").out


def test_a_data_plane_that_is_killed_is_started_again(shell: Shell) -> None:
    with shell.up() as up:
        first = plane_of(shell.folder)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: plane_of(shell.folder) not in (None, first))
        wait_until(lambda: bool(up.get("/api/status").json()["healed"]))
        (healed,) = up.get("/api/status").json()["healed"]
    assert (healed["action"], healed["what"]) == ("healed.restarted", "data plane")
    assert "-9" in healed["why"]


SLOW = """
import time
import nenrin as nr

@nr.step
def slow():
    time.sleep(3)
    return 1
"""


def test_a_step_whose_worker_is_killed_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(SLOW)
    shell = Shell(tmp_path)
    with shell.up() as up:
        assert up.post("/api/run", {}).status_code == 202
        scratch = tmp_path / ".nenrin" / "scratch"
        wait_until(lambda: scratch.is_dir() and any(scratch.iterdir()))
        wait_until(lambda: len(_workers(up.process.pid)) > 0)
        time.sleep(0.5)
        for pid in _workers(up.process.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: up.get("/api/work").json()[-1]["state"] == "done")
    assert {"what": "slow", "why": "its worker was killed"} in _healed(shell, "rerun")


def _workers(control: int) -> list[int]:
    """Processes of tasks: children of the server that forks them."""
    plain = [pid for pid in children(control) if "fork_server" in _command(pid)]
    return [pid for pid in plain if pid not in _direct(control)]


def _direct(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_step_whose_output_is_damaged_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(SLOW.replace("time.sleep(3)", ""))
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    shell.here("run")
    with _platform(shell) as platform:
        newest = platform.projects._replay.engine("dev").newest("slow")
        assert newest is not None
        _damage(platform.store.file(newest.output))
    assert shell.here("run", "--json").json["ran"] == ["slow"]
    assert _healed(shell, "rerun") == [{"what": "slow", "why": "its stored output is gone"}]
