"""What steps write and report: kept in a file an attempt, the newest line at hand for whoever watches."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nenrin.core.jobs import Job
from nenrin.pipelines.executor import Line, Report, Said

KEPT = 50  # runs whose logs stay

Hear = Callable[[str, str], None]


class StepLogs:
    """The logs of one folder: ``RUN/STEP.ATTEMPT.log``. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._newest: dict[str, str] = {}
        self._listeners: list[Hear] = []

    @contextmanager
    def listening(self, hear: Hear) -> Iterator[None]:
        """Within the block ``hear`` is told every line that is written, and by which step."""
        self._listeners.append(hear)
        try:
            yield
        finally:
            self._listeners.remove(hear)

    def heard(self, job: Job, said: Said) -> None:
        """Keep a line; remember what was said last."""
        if isinstance(said, Line):
            self._newest[job.id] = said.text
            self.append(job, said.text)
            for hear in list(self._listeners):
                hear(job.name, said.text)
        elif isinstance(said, Report):
            part = f"{said.done} of {said.total}" if said.total else f"{said.done}"
            self._newest[job.id] = f"{part} {said.note}".strip()

    def newest(self, job: str) -> str:
        """What a job said last."""
        return self._newest.get(job, "")

    def forget(self, job: str) -> None:
        """Let go of what a job said last: it is over."""
        self._newest.pop(job, None)

    def append(self, job: Job, text: str) -> None:
        """Add lines to an attempt's log."""
        path = self.path(job)
        with self._lock:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._retire()
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text.rstrip("\n") + "\n")

    def path(self, job: Job) -> Path:
        """The file of an attempt."""
        return self._folder / job.run / f"{job.name}.{job.attempt}.log"

    def find(self, step: str) -> list[Path]:
        """The newest log of a step, or of each element of a map, in the newest run that has any."""
        if not self._folder.is_dir():
            return []
        for run in sorted(self._folder.iterdir(), key=_age, reverse=True):
            newest: dict[str, Path] = {}
            for path in sorted(run.iterdir(), key=_age):
                name = path.name.rsplit(".", 2)[0]
                if name == step or name.startswith(f"{step}["):
                    newest[name] = path
            if newest:
                return list(newest.values())
        return []

    def _retire(self) -> None:
        runs = sorted(self._folder.iterdir(), key=_age, reverse=True)
        for run in runs[KEPT:]:
            shutil.rmtree(run, ignore_errors=True)


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
