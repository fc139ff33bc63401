"""The run-time check of compiled forms: one batch in so many is answered by the original too.

Off the hot path, by one thread of the plane, which asks the originals' process where there is one. A form
whose answer differs is given up at once, and a file tells the control process, which may be away, and every
later plane.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Full, Queue
from typing import Any, Protocol

import msgspec
import numpy as np

from nenrin.core.errors import UnavailableError
from nenrin.training.compiling.parity import difference

_WAITING = 16

_logger = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]


class Checked(Protocol):
    """What is checked: a compiled form that can be given up."""

    content: str
    form: str
    tolerance: float

    def answer_original(self, rows: Rows) -> np.ndarray:
        """What the original answers."""
        ...

    def give_up(self) -> None:
        """Have the original serve from now on."""
        ...


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled form that answered otherwise than its original.

    Attributes:
        content: digest of the model.
        form: digest of the form.
        why: what differed.
    """

    content: str
    form: str
    why: str


class Rescoring:
    """Compares answers in a thread of its own.

    Attributes:
        rescored: how many requests were compared.
        breaches: how many forms were given up.
        elsewhere: answers for the original of a content in another process; None: it is opened in this one.

    Args:
        folder: where breaches are written, one file each.
        every: one batch in so many is compared; 0: none.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.every = every
        self.rescored = self.breaches = 0
        self.elsewhere: Callable[[str, Rows], np.ndarray] | None = None
        self._folder = folder
        self._gone: set[str] = set()
        self._waiting: Queue[tuple[Checked, Rows, np.ndarray]] = Queue(_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def breached(self, form: str) -> bool:
        """Whether a form was given up here, by this plane or one before."""
        return (self._folder / f"{form}.json").exists()

    def later(self, checked: Checked, rows: Rows, answers: np.ndarray) -> None:
        """Have a request compared; never waits: where others wait already, this one is left out."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._on, name="rescoring", daemon=True)
                    self._thread.start()
        try:
            self._waiting.put_nowait((checked, rows, answers))
        except Full:
            return

    def settle(self) -> None:
        """Wait until what was handed in has been compared."""
        self._waiting.join()

    def compare(self, checked: Checked, rows: Rows, answers: np.ndarray) -> None:
        """Ask the original of what was answered; a difference gives the form up, once."""
        if checked.form in self._gone:
            checked.give_up()  # another answerer of the same form
            return
        if self.elsewhere is None:
            wanted = np.asarray(checked.answer_original(rows), np.float64)
        else:
            wanted = self.elsewhere(checked.content, rows)
        self.rescored += 1
        apart = difference(answers, wanted)
        if apart > checked.tolerance:
            self._give_up(checked, f"an answer differed by {apart:.3g} at run time")

    def _give_up(self, checked: Checked, why: str) -> None:
        checked.give_up()
        self._gone.add(checked.form)
        self.breaches += 1
        _logger.error("the compiled form of %s is given up: %s", checked.content[:12], why)
        breach = Breach(content=checked.content, form=checked.form, why=why)
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = self._folder / f"{checked.form}.new"
        fresh.write_bytes(msgspec.json.encode(breach))
        fresh.replace(self._folder / f"{checked.form}.json")

    def _on(self) -> None:
        while True:
            checked, rows, answers = self._waiting.get()
            try:
                self.compare(checked, rows, answers)
            except UnavailableError as error:
                _logger.warning("a compiled form is not compared: %s", error)
            except Exception:
                _logger.exception("a compiled form cannot be compared with its original")
            finally:
                self._waiting.task_done()


def breaches(folder: Path) -> list[tuple[Path, Breach]]:
    """What planes have written of forms that were given up, and where."""
    return [
        (path, msgspec.json.decode(path.read_bytes(), type=Breach))
        for path in sorted(folder.glob("*.json"))
    ]
