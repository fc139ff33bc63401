"""What ``doctor`` looks at, each on something that is broken on purpose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from nenrin.core import health
from nenrin.core.lock import FolderLock

_Usage = namedtuple("_Usage", "total used free")

HOLDING = (
    "import sys, time; from pathlib import Path; from nenrin.core.lock import FolderLock; "
    "FolderLock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
)


def test_a_sound_machine_and_a_new_folder_are_fine(tmp_path: Path) -> None:
    found = [*health.machine(), *health.folder(tmp_path / ".nenrin")]
    assert {finding.health for finding in found} == {"ok"}
    assert not (tmp_path / ".nenrin").exists()


def test_a_processor_that_polars_is_not_built_for_is_told(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nflags\t\t: fpu sse4_2 avx fma bmi1 bmi2 movbe\n")
    found = health.processor(info)
    assert found.health == "fail"
    assert "without avx2" in found.found
    assert "rtcompat" in found.do


def test_what_models_cannot_be_compiled_with_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cc")
    monkeypatch.setattr(health, "find_spec", lambda name: None if name == "skl2onnx" else name)
    found = health.compiling()
    assert found.health == "ok"  # the originals serve
    assert "(other models: skl2onnx)" in found.found
    assert "nenrin[compile]" in found.do
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "trees: a C compiler; other models: skl2onnx" in health.compiling().found
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cc")
    monkeypatch.setattr(health, "find_spec", str)
    assert health.compiling().found == "trees and other models"


@pytest.mark.parametrize(("free", "said"), [(5e10, "ok"), (5e8, "warn"), (5e7, "fail")])
def test_a_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, said: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(10**12, 0, int(free)))
    found = health.disk("disk", tmp_path / "not" / "there")
    assert found.health == said
    assert ("prune" in found.do) == (said != "ok")


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["polars>=99.1", "no-such-package>=1", 'lightgbm>=99; extra == "lightgbm"']
    monkeypatch.setattr(health, "requires", lambda _: wanted)
    found = health.packages()
    assert found.health == "fail"
    assert "99.1 is wanted" in found.found
    assert "no-such-package is missing" in found.found
    assert "lightgbm" not in found.found


def test_keys_that_others_may_read_are_told(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    key = keys / "nenrin"
    key.write_text("secret")
    key.chmod(0o644)
    found = health.permissions(tmp_path)
    assert found.health == "warn"
    assert found.do == f"chmod 600 {key}"
    key.chmod(0o600)
    assert health.permissions(tmp_path).health == "ok"


def test_what_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state.db").touch()
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "state.db" and real(path, mode)
    )
    found = health.permissions(tmp_path)
    assert found.health == "fail"
    assert str(tmp_path / "state.db") in found.found


def test_a_holder_that_is_stopped_is_told(tmp_path: Path) -> None:
    assert health.lock(tmp_path).found == "nobody holds the folder"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert FolderLock(tmp_path).held_by() == process.pid
        assert health.lock(tmp_path).health == "ok"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        found = health.lock(tmp_path)
        process.kill()
    assert found.health == "fail"
    assert f"kill -CONT {process.pid}" in found.do


def test_a_clock_that_goes_before_the_ledger_is_told() -> None:
    found = health.clock(5, {"dev": 4, "prod": 9}, str)
    assert found.health == "fail"
    assert found.found == "it says 5, and prod has an event of 9"
    assert health.clock(10, {"dev": 4}, str).health == "ok"
