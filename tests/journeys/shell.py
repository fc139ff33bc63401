"""A folder and the real command line in it: every command is a process of its own, as a user's is."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import numpy as np
import polars as pl

from nenrin.api.folder import predictions_folder
from nenrin.cli.app import main
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.process import left_behind
from nenrin.testing.waiting import wait_until

NENRIN = (sys.executable, "-m", "nenrin")
_READY = re.compile(r"^serving \S+ at (http://[^\s,]+),", re.MULTILINE)
_TIMER = SystemTimer()


def environment() -> dict[str, str]:
    """The variables of a command: none of nenrin's own, and with compiled modules kept, as anywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NENRIN_")}
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = f"{tempfile.gettempdir()}/nenrin-journeys-{os.getuid()}"
    return kept


@dataclass(frozen=True)
class Done:
    """How a command ended, what it printed, and how long it took in seconds."""

    code: int
    out: str
    err: str
    took: float

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Call it with the words after ``nenrin``.

    Attributes:
        folder: where it stands.
        variables: its own environment.
        inside: enters the host that it runs on.
        patience: seconds that a command may take.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    inside: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    patience: float = 540.0  # what it said is shown before the time of a test is over

    def __call__(self, *words: str, code: int | None = 0, **variables: str) -> Done:
        """Run a command to its end; it must end with ``code`` (None: any), and show no traceback."""
        started = _TIMER.wall()
        with self.inside():
            ran = subprocess.run(
                [*NENRIN, *words],
                cwd=self.folder,
                env={**environment(), **self.variables, **variables},
                capture_output=True,
                text=True,
                timeout=self.patience,
                check=False,
            )
        done = Done(ran.returncode, ran.stdout, ran.stderr, _TIMER.wall() - started)
        return _checked(words, done, code)

    def here(self, *words: str, code: int | None = 0, **variables: str) -> Done:
        """The same in this process, which saves a second: that of importing everything anew."""
        out, err = io.StringIO(), io.StringIO()
        started, ended = _TIMER.wall(), 0
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, {**self.variables, **variables}),
            mock.patch.object(sys, "argv", ["nenrin", *words]),
        ):
            try:
                main()
            except SystemExit as exit_:
                ended = int(exit_.code or 0)
        done = Done(ended, out.getvalue(), err.getvalue(), _TIMER.wall() - started)
        return _checked(words, done, code)

    @property
    def project(self) -> Path:
        return self.folder / "project.py"

    @contextlib.contextmanager
    def up(self, *words: str, **variables: str) -> Iterator[Up]:
        """``nenrin up`` on a free port, until the block ends; then nothing of it is left."""
        process, said = self._started(*words, **variables)
        try:
            yield Up(self, process, self._url(process, said), said)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(120)
            for plane in left_behind(predictions_folder(self.folder / ".nenrin")):
                os.kill(plane.process, signal.SIGKILL)

    def _started(self, *words: str, **variables: str) -> tuple[subprocess.Popen[str], Path]:
        said = self.folder / "up.out"
        with said.open("w") as out, self.inside():
            process = subprocess.Popen(
                [*NENRIN, "up", "--port", "0", *words],
                cwd=self.folder,
                env={**environment(), **self.variables, **variables},
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return process, said

    def _url(self, process: subprocess.Popen[str], said: Path) -> str:
        found: list[str] = []

        def ready() -> bool:
            assert process.poll() is None, said.read_text()
            found.extend(_READY.findall(said.read_text()))
            return bool(found)

        wait_until(ready)
        return found[0]


@dataclass(frozen=True)
class Up:
    """A running ``nenrin up``, its address, and where it says what it says.

    Requests read no certificates: it speaks plain HTTP, and reading them takes as long as many requests.
    """

    shell: Shell
    process: subprocess.Popen[str]
    url: str
    said: Path

    @property
    def text(self) -> str:
        return self.said.read_text()

    def get(self, path: str, **options: Any) -> httpx2.Response:
        with self.shell.inside():
            return httpx2.get(f"{self.url}{path}", timeout=120, verify=False, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        with self.shell.inside():
            return httpx2.post(f"{self.url}{path}", json=body, timeout=120, verify=False, **options)

    @property
    def curls(self) -> list[str]:
        """The commands that it prints."""
        return [line for line in self.text.splitlines() if line.startswith("curl ")]

    def kill(self) -> None:
        """End the control process as a crash does."""
        self.process.kill()
        self.process.wait()


def _checked(words: Sequence[str], done: Done, code: int | None) -> Done:
    told = f"{' '.join(words)}\n{done.out}\n{done.err}"
    assert "Traceback" not in told, told
    assert code is None or done.code == code, told
    return done


def plane_of(folder: Path) -> int | None:
    """The process id of the folder's data plane, the first of several."""
    return next(
        (each.process for each in left_behind(predictions_folder(folder / ".nenrin"))), None
    )


def customers(rows: int, *, seed: int = 0, first: int = 0) -> pl.DataFrame:
    """People who leave or stay: key, features, a column that gives the answer away, two targets, a day."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, rows)
    plan = random.choice(["basic", "plus", "pro"], rows)
    calls = random.poisson(2, rows)
    spend = random.gamma(2, 30, rows).round(2)
    score = -2 + 0.03 * (age - 40) + 0.5 * calls - 1.2 * (plan == "pro")
    left = random.random(rows) < 1 / (1 + np.exp(-score))
    return pl.DataFrame(
        {
            "customer_id": [f"c{first + number:06d}" for number in range(rows)],
            "signed_up": pl.Series(
                [f"2025-{1 + n * 8 // rows:02d}-{1 + n % 28:02d}" for n in range(rows)]
            ),
            "age": age,
            "plan": plan,
            "calls": calls,
            "spend": spend,
            "refund_reason": np.where(left, "left", ""),
            "value": (50 + 2.0 * age + 10 * calls + 5 * random.standard_normal(rows)).round(2),
            "churned": np.where(left, "Yes", "No"),
        }
    )


CHURN = '''"""Who leaves; by arithmetic alone, for libraries take long to import."""
import nenrin as nr
import numpy as np

customers = nr.file("customers.csv", key="customer_id")

class Logistic:
    def __init__(self, x, y):
        self.middle, self.width = x.mean(axis=0), x.std(axis=0)
        self.weights = np.zeros(x.shape[1] + 1)
        for _ in range(300):
            self.weights += self.with_one(x).T @ (y - self.predict(x)) / len(y)

    def with_one(self, x):
        return np.column_stack([np.ones(len(x)), (x - self.middle) / self.width])

    def predict(self, x):
        return 1 / (1 + np.exp(-self.with_one(x) @ self.weights))

    def predict_proba(self, x):
        return np.column_stack([1 - self.predict(x), self.predict(x)])

@nr.model(rows=customers, label=customers.churned == "Yes", metric="log_loss",
          drop=["refund_reason", "signed_up", "value"])
def churned(rows):
    return Logistic(rows.numpy(), rows.y)

service = nr.deployment(churned)
'''
