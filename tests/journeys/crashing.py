"""Kills a run at random points, starts it again, and looks whether anything was lost or done twice.

By hand: ``python -m tests.journeys.crashing --points 200``; with ``--up`` the run is asked of ``nenrin up``,
which is killed and started again; with ``--flights`` two weeks of the example are replayed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nenrin.backends.sql.database import Database
from nenrin.core.ledger import verify
from nenrin.core.timer import SystemTimer
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import NENRIN, Shell, environment

TIMER = SystemTimer()
EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "project.py"
WEEKS = ("backtest", "--from", "2013-07-08", "--until", "2013-07-22", "--json")
TARGETS = ("worker", "control", "group")

HEAD = '''
"""Sums of sums; each call says so."""
import os
import time
from pathlib import Path

import nenrin as nr

CALLS = Path(__file__).parents[3] / "calls"


def called(name):
    time.sleep(0.01)
    with CALLS.open("a") as file:
        file.write(name + "\\n")
'''
STEP = """

@nr.step
def {name}({reads}):
    called("{name}")
    return {number} + sum([{reads}])
"""


def project(layers: int, wide: int) -> str:
    """A project of ``layers`` times ``wide`` steps, each reading the whole layer before it."""
    text = HEAD
    for layer in range(layers):
        reads = ", ".join(f"s{layer - 1}_{n}" for n in range(wide)) if layer else ""
        for n in range(wide):
            text += STEP.format(name=f"s{layer}_{n}", reads=reads, number=n + 1)
    return text


@dataclass(frozen=True)
class Outcome:
    """What a kill came to.

    ``at``: how much had been done when it was struck; ``recorded`` of that; ``again``: how many bodies ran
    after it; ``took``: seconds to the end, of ``nenrin up`` to the run going on.
    """

    target: str
    at: int
    recorded: int
    again: int
    took: float


class Crashing:
    """One folder whose project is run, killed and run again."""

    def __init__(self, folder: Path, text: str, *words: str) -> None:
        self.folder = folder
        self.words = words or ("run", "--json")
        self.calls = folder / "calls"
        (folder / "project.py").write_text(text)

    def fresh(self) -> None:
        """As if nothing had ever been run."""
        shutil.rmtree(self.folder / ".nenrin", ignore_errors=True)
        self.calls.unlink(missing_ok=True)

    def whole(self) -> tuple[dict[str, str], float]:
        """A run to its end: what each step gave, and seconds."""
        started = TIMER.wall()
        ran = subprocess.run(
            [*NENRIN, *self.words],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
        if ran.returncode:
            raise AssertionError(f"ended with {ran.returncode}: {ran.stdout} {ran.stderr}")
        return json.loads(ran.stdout)["steps"], TIMER.wall() - started

    def kill(self, calls: int, target: str, expected: dict[str, str]) -> Outcome:
        """Kill ``target`` after so many calls of a run, go on, and check what must hold.

        Where a worker is killed the run itself goes on; else the same command does.

        Raises:
            AssertionError: something was lost, done twice, or came out differently.
        """
        self.fresh()
        with self._begun() as process, ended(process):
            wait_until(lambda: len(self.made()) >= calls or process.poll() is not None)
            os.kill(
                process.pid, signal.SIGSTOP
            )  # what it has recorded is looked at before it goes on
            self._strike(process.pid, target)
            recorded, made = self.recorded(), self.made()
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            said, _ = process.communicate(timeout=540)
        if target == "worker":
            assert process.returncode == 0, said
            assert json.loads(said)["steps"] == expected, "the outputs differ"
        again, took = self.whole()
        more = self.made()[len(made) :]
        lives = set(made) if target == "worker" else set[str]()  # what ran beside it goes on
        self._check(expected, again, recorded, [*more, *(lives - recorded - set(more))])
        return Outcome(target, len(made), len(recorded), len(more), took)

    def kill_up(self, calls: int, expected: dict[str, str]) -> Outcome:
        """Ask ``nenrin up`` for a run, kill it, start it again, and ask for nothing more.

        Raises:
            AssertionError: as for :meth:`kill`, or the run does not go on by itself.
        """
        self.fresh()
        shell = Shell(self.folder)
        with shell.up() as up:
            assert up.post("/api/run", {}).status_code == 202
            wait_until(lambda: len(self.made()) >= calls)
            os.kill(up.process.pid, signal.SIGSTOP)
            recorded, made = self.recorded(), self.made()
            up.kill()
        started = TIMER.wall()
        goes_on: list[float] = []

        def look() -> bool:
            said = self.folder / "up.out"
            if not goes_on and "run was cut off, and goes on" in said.read_text():
                goes_on.append(TIMER.wall() - started)
            return set(expected) <= set(self.made())

        with shell.up() as up:
            wait_until(look)
            wait_until(lambda: {w["state"] for w in up.get("/api/work").json()} == {"done"})
        assert goes_on, "the run was over before it could be cut off"
        again, _ = self.whole()
        self._check(expected, again, recorded, self.made()[len(made) :])
        return Outcome("up", len(made), len(recorded), len(self.made()) - len(made), goes_on[0])

    def _begun(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NENRIN, *self.words],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def _check(
        self, expected: dict[str, str], again: dict[str, str], recorded: set[str], more: list[str]
    ) -> None:
        assert again == expected, "the outputs differ"
        twice = [name for name in more if name in recorded]
        assert not twice, f"recorded, and run again: {twice}"
        assert recorded | set(more) == set(expected), "a step is missing"
        self.sound()

    def _strike(self, pid: int, target: str) -> None:
        """A worker is one process that works on a step; its server lives."""
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            if target == "control":
                os.kill(pid, signal.SIGKILL)
            elif target == "group":
                os.killpg(pid, signal.SIGKILL)
            else:
                for task in [child for child in children(pid) if not children(child)][-1:]:
                    os.kill(task, signal.SIGKILL)

    def recorded(self) -> set[str]:
        """The steps whose outputs are remembered."""
        path = self.folder / ".nenrin" / "state.db"
        if not path.exists():
            return set()
        with sqlite3.connect(path, timeout=30) as database:
            try:
                rows = database.execute("SELECT body FROM step_results").fetchall()
            except sqlite3.OperationalError:
                return set()  # killed before there was a schema
        return {json.loads(body)["step"] for (body,) in rows}

    def made(self) -> list[str]:
        """The calls so far."""
        return self.calls.read_text().split() if self.calls.exists() else []

    def sound(self) -> None:
        """The ledger holds, no lease is left, and no attempt's folder."""
        with Database(f"sqlite:///{self.folder / '.nenrin' / 'state.db'}", read_only=True) as units:
            for name in units.environments():
                assert verify(units.events(name))[1] == []
        with sqlite3.connect(self.folder / ".nenrin" / "state.db", timeout=30) as database:
            open_ = "SELECT count(*) FROM jobs WHERE state = 'leased'"
            assert database.execute(open_).fetchone() == (0,)
        scratch = self.folder / ".nenrin" / "scratch"
        assert not scratch.exists() or not list(scratch.iterdir())


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """However the block ends, the process does: one that is stopped would be waited for for ever."""
    try:
        yield
    finally:
        process.kill()


def children(pid: int) -> list[int]:
    """The processes below one, from ``/proc``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has just ended
            if parent == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


class Flights(Crashing):
    """Two weeks of the example's backtest: what it decides, by the head of its chain."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, EXAMPLE.read_text(), *WEEKS)

    def whole(self) -> tuple[dict[str, str], float]:
        """A replay to its end."""
        started = TIMER.wall()
        done = Shell(self.folder)(*self.words)
        report = json.loads(done.out)
        return {"head": report["ledger_head"]}, TIMER.wall() - started

    def kill(self, calls: int, target: str, expected: dict[str, str]) -> Outcome:
        """As of :class:`Crashing`, after so many fits and trials: those recorded are not made again."""
        self.fresh()
        with self._begun() as process, ended(process):
            wait_until(lambda: len(self.results()) >= calls or process.poll() is not None)
            os.kill(process.pid, signal.SIGSTOP)
            self._strike(process.pid, target)
            before = self.results()
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            said, _ = process.communicate(timeout=540)
        if target == "worker":
            assert process.returncode == 0, said
            assert {"head": json.loads(said)["ledger_head"]} == expected, "the heads differ"
        again, took = self.whole()
        assert again == expected, "the heads differ"
        after_all = self.results()
        assert before.items() <= after_all.items(), "a fit was recorded, and made again"
        self.sound()
        return Outcome(target, len(before), len(before), len(after_all) - len(before), took)

    def results(self) -> dict[str, str]:
        """Outputs of fits and trials by key, with the instants at which they were recorded."""
        path = self.folder / ".nenrin" / "state.db"
        if not path.exists():
            return {}
        with sqlite3.connect(path, timeout=30) as database:
            try:
                rows = database.execute("SELECT key, at, body FROM step_results").fetchall()
            except sqlite3.OperationalError:
                return {}
        kept = ("fit", "trial")
        return {
            key: f"{at} {json.loads(body)['output']}"
            for key, at, body in rows
            if json.loads(body)["step"] in kept and not key.startswith("newest ")
        }


def main() -> None:
    """Kill at random points and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--up", action="store_true")
    parser.add_argument("--flights", action="store_true")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "a", "b")  # its steps look for a file three folders above theirs
        place.mkdir(parents=True)
        crashing = Flights(place) if asked.flights else Crashing(place, project(asked.layers, 5))
        expected, took = crashing.whole()
        bodies = len(crashing.results()) if isinstance(crashing, Flights) else len(expected)
        print(f"{bodies} bodies in {took:.1f} s")
        outcomes = []
        for _ in range(asked.points):
            calls = draw.randint(1, bodies - 1)
            outcomes.append(
                crashing.kill_up(calls, expected)
                if asked.up
                else crashing.kill(calls, draw.choice(TARGETS), expected)
            )
            print(outcomes[-1], flush=True)
    for target in sorted({outcome.target for outcome in outcomes}):
        of = [outcome for outcome in outcomes if outcome.target == target]
        print(
            f"{target}: {len(of)} kills, {sum(o.recorded for o in of)} bodies recorded and kept, "
            f"{sum(o.again for o in of)} run after them, "
            f"median {sorted(o.took for o in of)[len(of) // 2]:.2f} s"
        )


if __name__ == "__main__":
    sys.exit(main())
