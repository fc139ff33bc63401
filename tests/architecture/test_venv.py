"""tools/venv.sh: fast when nothing changed, anew when it was not finished, honest when it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture import sources

TOOLS = ("cat", "chmod", "cksum", "dirname", "id", "mkdir", "rm", "sh", "tr", "env")
FAKE_UV = """#!/bin/sh
echo "$*" >>"$0.calls"
case "$1" in
venv) mkdir -p .venv/bin && printf '#!/bin/sh\\n' >.venv/bin/python && chmod +x .venv/bin/python ;;
pip) [ ! -e "$0.broken" ] ;;
esac
"""


class Machine:
    """A checkout on a machine that has nothing but a shell, and perhaps a uv that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.checkout / "tools").mkdir(parents=True)
        for name in ("pyproject.toml", "constraints.txt", "tools/venv.sh"):
            shutil.copy(sources.ROOT / name, self.checkout / name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)

    def with_uv(self) -> None:
        uv = self.bin / "uv"
        uv.write_text(FAKE_UV)
        uv.chmod(0o755)

    def call(self, extras: str = "demo") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "tools" / "venv.sh", extras],
            env={"PATH": str(self.bin)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        log = self.bin / "uv.calls"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_it_says_what_to_install(machine: Machine) -> None:
    done = machine.call()
    assert done.returncode == 3
    assert "install uv, or Debian's python3-venv" in done.stderr


def test_the_second_call_does_nothing(machine: Machine) -> None:
    machine.with_uv()
    assert machine.call().returncode == 0
    assert len(machine.calls) == 2
    assert machine.call().returncode == 0
    assert len(machine.calls) == 2


def test_other_extras_or_other_pins_install_again_into_the_same(machine: Machine) -> None:
    machine.with_uv()
    machine.call("demo")
    machine.call("test")
    (machine.checkout / "constraints.txt").write_text("polars==9\n")
    machine.call("test")
    assert [call.split()[0] for call in machine.calls] == ["venv", "pip", "pip", "pip"]
    assert machine.calls[2].endswith("--editable .[test]")


def test_what_was_not_finished_is_made_anew(machine: Machine) -> None:
    machine.with_uv()
    broken = machine.bin / "uv.broken"
    broken.touch()
    assert machine.call().returncode != 0
    broken.unlink()
    done = machine.call()
    assert done.returncode == 0
    assert "unfinished" in done.stderr
    assert [call.split()[0] for call in machine.calls] == ["venv", "pip", "venv", "pip"]


def test_a_python_that_has_gone_is_made_anew(machine: Machine) -> None:
    machine.with_uv()
    machine.call()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    assert machine.call().returncode == 0
    assert [call.split()[0] for call in machine.calls] == ["venv", "pip", "venv", "pip"]
