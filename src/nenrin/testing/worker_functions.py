"""What contract suites have workers do. Kept apart: a worker imports this, and should do so quickly."""

from __future__ import annotations

import os
import random  # noqa: TID251 - as users' libraries draw
import signal
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.errors import DataError
from nenrin.pipelines.executor import WorkerContext


def load_nothing(folder: Path) -> dict[str, object]:
    """A project loader for executors under test: the project is its folder's name."""
    return {"name": folder.name, "loaded_by": os.getpid()}


def load_file(folder: Path) -> dict[str, object]:
    """A project loader for started tasks under test: runs ``project.py``, where there is one."""
    path = folder / "project.py"
    found = load_nothing(folder)
    if path.exists():
        exec(compile(path.read_bytes(), str(path), "exec"), found)
    return found


def call(context: WorkerContext, folder: str, name: str, *args: Any) -> Any:
    """Call a function of the project's."""
    function: Any = context.project(folder)[name]
    return function(*args)


def report(context: WorkerContext) -> None:
    """Tell how far it is."""
    for done in range(3):
        context.report(done, 2, f"part {done}")


def folders(context: WorkerContext) -> tuple[str, str]:
    """The working folder, and the scratch folder that the context has."""
    return str(Path.cwd()), str(context.scratch)


def draw(context: WorkerContext) -> tuple[float, float]:
    """What the global generators give next."""
    del context
    return random.random(), float(np.random.random())  # noqa: NPY002 - as users' libraries draw


def add(context: WorkerContext, left: int, right: int = 0) -> int:
    """The sum; runs in a worker."""
    del context
    return left + right


def keep(context: WorkerContext, data: bytes) -> str:
    """Put ``data`` into the worker's store."""
    return context.store.put(data)


def name_of(context: WorkerContext, folder: str) -> object:
    """What the project loader found."""
    return context.project(folder)["name"]


def fail(context: WorkerContext, message: str) -> None:
    """Raise an error of nenrin's."""
    del context
    raise DataError(message, hint="try again", where="a.py:1")


def fail_strangely(context: WorkerContext) -> None:
    """Raise an exception that cannot be pickled."""
    del context

    class StrangeError(Exception):
        pass

    raise StrangeError("very")


def die_once(context: WorkerContext, mark: str) -> str:
    """Be killed where the file ``mark`` is not there yet; it is then."""
    del context
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


def die(context: WorkerContext, signal_number: int) -> None:
    """End the process inside a user's function."""
    context.entering("project.py:7", "use rows.pandas()")
    os.kill(os.getpid(), signal_number)


def pid(context: WorkerContext) -> int:
    """Of the process that runs it."""
    del context
    return os.getpid()


def variable(context: WorkerContext, name: str) -> str | None:
    """An environment variable, as a worker sees it."""
    del context
    return os.environ.get(name)


def say(context: WorkerContext, text: str) -> None:
    """Print, as users' functions do."""
    del context
    print(text)


def leave(context: WorkerContext) -> None:
    """End the process politely in the middle of a task."""
    del context
    raise SystemExit(3)


def wait_for(context: WorkerContext, path: str) -> int:
    """Wait until a file is there, and give the process id."""
    while not Path(path).exists():
        context.timer.sleep(0.01)
    return os.getpid()
