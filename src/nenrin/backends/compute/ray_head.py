"""Whether the head of a Ray cluster is there, seen from a driver that has work with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from nenrin.core.errors import UnavailableError
from nenrin.core.timer import SystemTimer

REACH = 5.0  # seconds in which the cluster's head has to answer
PATIENCE = (
    10.0  # seconds without an answer after which it is dead: with it goes all that it knew of tasks
)
_LOOK = 2.0  # seconds between two looks


def reach(address: str) -> None:
    """See whether anybody is there: Ray itself waits for a minute, and may end the process.

    Args:
        address: ``HOST:PORT`` of the head.

    Raises:
        OSError, ValueError: nobody is.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), REACH).close()


class HeadWatch:
    """Looks at the head again and again, from a thread of its own, until it is dead or the watch ends.

    Attributes:
        address: ``HOST:PORT`` of the head.

    Args:
        address: as the attribute.
        patience, look: seconds, as :data:`PATIENCE`; between two looks.
        reach: raises where nobody is there.
    """

    def __init__(
        self,
        address: str,
        *,
        patience: float = PATIENCE,
        look: float = _LOOK,
        reach: Callable[[str], None] = reach,
    ) -> None:
        self.address = address
        self._patience = patience
        self._look = look
        self._reach = reach
        self._ended = threading.Event()
        self._dead = False
        self._thread = threading.Thread(target=self._watch, name="nenrin-ray-head", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Nothing while the head is there.

        Raises:
            UnavailableError: it is dead.
        """
        if self._dead:
            raise UnavailableError(
                f"the head of the Ray cluster at {self.address} is gone, and with it what ran there",
                hint="start Ray again on the head and then on each node (ray start), and do it again: "
                "what had ended is kept",
                where=self.address,
            )

    def settle(self) -> None:
        """After a loss: wait until it is known whether the head is there.

        Raises:
            UnavailableError: it is dead.
        """
        while not self._dead and not self._ended.wait(0.0):
            try:
                self._reach(self.address)
            except (OSError, ValueError):
                self._ended.wait(self._look)
            else:
                return
        self.check()

    def is_back(self) -> bool:
        """Whether a head answers where one was found dead."""
        if not self._dead:
            return False
        try:
            self._reach(self.address)
        except (OSError, ValueError):
            return False
        return True

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _watch(self) -> None:
        timer = SystemTimer()
        answered = timer.wall()
        while not self._ended.wait(self._look):
            try:
                self._reach(self.address)
            except (OSError, ValueError):
                if timer.wall() - answered > self._patience:
                    self._dead = True
                    return
            else:
                answered = timer.wall()
