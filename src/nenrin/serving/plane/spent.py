"""Counters of what a loaded version has done, since it was loaded and in this process."""

from __future__ import annotations

_NANOSECONDS = 1_000_000_000


class Durations:
    """How often something was done, and how long it took in all."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """It was done ``count`` times, in ``seconds`` in all."""
        self.count += count
        self.seconds += seconds

    def told(self) -> dict[str, int]:
        """As the protocol has it."""
        return {"count": self.count, "ns": round(self.seconds * _NANOSECONDS)}


class Spent:
    """The counters of one loaded version.

    Attributes:
        success: requests that were answered, from the whole body to the answer.
        fail: requests that were refused or failed.
        queue: requests that waited for the version's thread; none waits that is answered at once.
        compute: batches, features and model together.
        rows: rows that were answered.
        last: business instant (us) of the last request; 0: there was none.
    """

    def __init__(self) -> None:
        self.success = Durations()
        self.fail = Durations()
        self.queue = Durations()
        self.compute = Durations()
        self.rows = 0
        self.last = 0
