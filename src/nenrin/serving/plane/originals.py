"""The process in which originals answer what compiled models have answered, to be compared.

Libraries and originals are several times as large as a plane that serves compiled models, so there is one
such process for all planes of a folder. It opens what it is asked for, and ends when nobody asks.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import numpy as np

from nenrin.core.errors import UnavailableError
from nenrin.core.store import ContentStore
from nenrin.training.artefact import Artefact

IDLE = 300.0
"""Seconds without a question after which the process ends, if it has opened something."""

_PATIENCE = 60.0  # of a plane's comparing thread: opening an original may take seconds
_LOST = 8  # questions without an answer, after which a plane asks no more
_KEPT = 4  # originals that are open at a time

_logger = logging.getLogger(__name__)

_Rows = Sequence[Mapping[str, Any]]


class Originals:
    """Asks that process; one thread at a time.

    Args:
        wire: to it.
    """

    def __init__(self, wire: Connection) -> None:
        self._wire = wire
        self._number = 0
        self._lost = 0

    def __call__(self, content: str, rows: _Rows) -> np.ndarray:
        """float64[n]: what the model of that digest answers.

        Raises:
            UnavailableError: it cannot answer, or does not within a minute.
        """
        if self._lost >= _LOST:
            raise UnavailableError(
                "originals are not asked any more: too many questions had no answer",
                hint="restart nenrin up; what the process said before it ended is in its log",
            )
        self._number += 1
        self._wire.send((self._number, content, rows))
        while self._wire.poll(_PATIENCE):
            number, answers = self._wire.recv()
            if number != self._number:
                continue  # to a question that was given up
            self._lost = 0
            if isinstance(answers, str):
                raise UnavailableError(answers, hint="the original may need what is not installed")
            return cast(np.ndarray, answers)
        self._lost += 1
        raise UnavailableError(
            f"the original did not answer within {_PATIENCE:.0f} s",
            hint="its process may have ended; nenrin up starts it again",
        )


def run_originals(
    open_store: Callable[[], ContentStore],
    wires: Sequence[Connection],
) -> None:
    """Answer until every plane has ended, or nobody has asked for :data:`IDLE` seconds.

    Args:
        open_store: opens the content store, here in the process.
        wires: one to each plane.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the planes, and they end this
    store = open_store()

    @lru_cache(_KEPT)
    def opened(content: str) -> Artefact:
        return Artefact.loads(store.get(content), trusted=True)

    open_wires = list(wires)
    while open_wires:
        idle = IDLE if opened.cache_info().currsize else None
        ready = wait(open_wires, idle)
        if not ready:
            return
        for wire in cast("list[Connection]", ready):
            try:
                number, content, rows = wire.recv()
                wire.send((number, _answers(opened, content, rows)))
            except (EOFError, OSError):
                open_wires.remove(wire)


def _answers(opened: Callable[[str], Artefact], content: str, rows: _Rows) -> np.ndarray | str:
    try:
        return np.asarray(opened(content).predict_rows(rows), np.float64)
    except Exception as error:
        _logger.debug("an original cannot answer", exc_info=True)
        return f"the original of {content[:12]} cannot answer: {type(error).__name__}: {error}"
