"""A project's folder with a home of its own, the commands that are run in it, and what they cost."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nenrin.backends.compute import footprint

NENRIN = (sys.executable, "-m", "nenrin")
LOADS: list[float] = []


@dataclass
class Cost:
    """Seconds of a command, or of anything: on the wall, and of CPU."""

    wall: float
    cpu: float


@dataclass
class Costs:
    """Those of several runs."""

    runs: list[Cost] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """The median."""
        return statistics.median(cost.wall for cost in self.runs)

    @property
    def cpu(self) -> float:
        """The median."""
        return statistics.median(cost.cpu for cost in self.runs)

    def __str__(self) -> str:
        return f"{_spread([c.wall for c in self.runs])} | {_spread([c.cpu for c in self.runs])}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s [{min(values):.2f}, {max(values):.2f}]"


class Folder:
    """A project's folder, a home beside it, and the commands that are run in it."""

    def __init__(self, path: Path, text: str, compiled: Path) -> None:
        self.path = path / "project"
        self.path.mkdir(parents=True)
        (self.path / "project.py").write_text(text)
        home = path / "home"
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NENRIN_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = {**kept, "HOME": str(home), "PYTHONPYCACHEPREFIX": str(compiled)}

    def __call__(self, *words: str) -> tuple[str, Cost]:
        """Run a command to its end: what it printed, and what it and its processes took."""
        LOADS.append(os.getloadavg()[0])
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            began = time.perf_counter()
            process = subprocess.Popen(
                words, cwd=self.path, env=self.environment, stdout=out, stderr=err
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            if process.returncode:
                err.seek(0)
                raise SystemExit(f"{words} ended with {process.returncode}: {err.read()}")
            return out.read(), Cost(wall, used.ru_utime + used.ru_stime)

    def run(self) -> tuple[dict[str, Any], Cost]:
        """``nenrin run``: what it says, and what it took."""
        said, cost = self(*NENRIN, "run", "--json")
        return json.loads(said), cost

    def bodies(self) -> list[tuple[str, str]]:
        """Names and process ids of the calls since this was last asked."""
        calls = self.path / "calls"
        found = (
            [tuple(line.split()) for line in calls.read_text().splitlines()]
            if calls.exists()
            else []
        )
        calls.unlink(missing_ok=True)
        return found  # type: ignore[return-value]

    @contextmanager
    def up(self) -> Iterator[int]:
        """``nenrin up`` in this folder, waiting: its process id."""
        with (self.path / "up.out").open("w") as out:
            process = subprocess.Popen(
                [*NENRIN, "up", "--port", "0"],
                cwd=self.path,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            _until_quiet(process.pid)
            if process.poll() is not None or "serving" not in (self.path / "up.out").read_text():
                raise SystemExit(f"not up: {(self.path / 'up.out').read_text()}")
            yield process.pid
        finally:
            below = list(footprint.tree(process.pid))[1:]
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            for pid in below:
                if Path(f"/proc/{pid}").exists():
                    os.kill(pid, signal.SIGKILL)

    def state(self) -> tuple[int, int]:
        """Bytes of ``.nenrin``, and those that the disk gave for them."""
        found = [path.lstat() for path in (self.path / ".nenrin").rglob("*")]
        files = sum(each.st_size for each in found if each.st_nlink and not _is_folder(each))
        return files, sum(each.st_blocks * 512 for each in found)


def _is_folder(status: os.stat_result) -> bool:
    return (status.st_mode & 0o170000) == 0o040000


def cpu_of(root: int) -> float:
    """CPU seconds of a tree so far, with those of processes that have ended in it."""
    ticks = 0
    for pid in footprint.tree(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _until_quiet(pid: int) -> None:
    """Until ten seconds pass in which hardly anything is computed; three minutes at most."""
    until = time.monotonic() + 180
    time.sleep(5)
    while time.monotonic() < until:
        before = cpu_of(pid)
        time.sleep(10)
        if cpu_of(pid) - before < 0.3:
            return
