"""Has the index of a version's rows read once somebody needs it, while the version answers others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nenrin.serving.ports import Features

Then = Callable[[BaseException | None], None]


class Reading:
    """Reads the index of one feature state, once for all who wait for it. Belongs to the event loop.

    Args:
        features: the state; None: there is none.

    Attributes:
        rows: of those who wait.
    """

    def __init__(self, features: Features | None) -> None:
        self._features = features
        self._waiting: list[Then] = []
        self.rows = 0

    @property
    def done(self) -> bool:
        """Whether nothing is to be read, or it is read."""
        return self._features is None or not self._features.unread

    def then(self, call: Then, rows: int) -> None:
        """Have it read, in no thread that answers requests; then ``call``, with why it could not be."""
        self._waiting.append(call)
        self.rows += rows
        if len(self._waiting) == 1 and self._features is not None:
            reading = asyncio.get_running_loop().run_in_executor(None, self._features.read)
            reading.add_done_callback(self._tell)

    def _tell(self, reading: asyncio.Future[None]) -> None:
        waiting, self._waiting, self.rows = self._waiting, [], 0
        for call in waiting:
            call(reading.exception())
