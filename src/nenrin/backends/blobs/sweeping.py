"""Sweeps of an object store, agreed upon with those who put at the same time.

A writer that finds its content there already counts on it, while a sweeper may be about to let go of it: no
object store deletes on the condition that nobody wrote meanwhile. So there is one object, ``sweep``, that
says what is being swept. The sweeper names a batch there *before* it looks how old each object is; then it
lets go of the old ones, and says that it is done. A writer writes first and reads ``sweep`` afterwards:

- its content is not named: a sweep that names it later will see how young it is;
- its content is named: the writer waits for the end of the batch, and puts it again;
- a batch has come and gone since the writer last read: it looks whether its content is there.

Either the sweeper sees the write, or the writer sees the sweep (as in Dekker's mutual exclusion); clocks only
bound how long a sweeper that died is waited for. The number counts every change, so that none goes unseen.
There is one sweeper at a time: the object is changed on the condition that it has not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from nenrin.backends.blobs.bucket import Bucket
from nenrin.core.errors import ConflictError

KEY = "sweep"
LEASE = 120.0  # seconds in which a batch has to be done with
MARGIN = 120.0  # seconds more until nobody expects a request of a sweeper that died, by any clock


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What is being swept.

    Attributes:
        number: counts the changes.
        names: the digests that may go.
        until: the sweeper lets go of nothing after this instant, seconds since 1970.
    """

    number: int = 0
    names: frozenset[str] = frozenset()
    until: float = 0.0

    def takes(self, digest: str, now: float) -> bool:
        """Whether ``digest`` may still go."""
        return digest in self.names and now < self.until + MARGIN


class Sweeps:
    """The sweeps of one bucket.

    Args:
        bucket: where the content is.
        epoch: seconds since 1970.
        note: file in which the processes of this machine tell each other what they have read last, so that
            a process that puts one thing need not read twice. An old number does no harm: it leads to a look.
    """

    def __init__(self, bucket: Bucket, epoch: Callable[[], float], note: Path) -> None:
        self._bucket = bucket
        self._epoch = epoch
        self._note = note
        self._seen: int | None = None

    def seen(self) -> int:
        """The number that was read last."""
        if self._seen is None:
            self._seen = self._noted()
        return self.look().number if self._seen is None else self._seen

    def look(self) -> Sweep:
        """What is being swept now."""
        found, _ = self._read()
        if found.number != self._seen:
            self._seen = found.number
            with suppress(OSError):  # it is there to save time
                self._note.parent.mkdir(parents=True, exist_ok=True)
                self._note.write_bytes(msgspec.json.encode([self._bucket.address, self._seen]))
        return found

    def _noted(self) -> int | None:
        try:
            address, number = msgspec.json.decode(self._note.read_bytes(), type=tuple[str, int])
        except (OSError, msgspec.DecodeError):
            return None
        return number if address == self._bucket.address else None

    def begin(self, names: list[str]) -> Sweep:
        """Say what may go.

        Raises:
            ConflictError: somebody else is sweeping.
        """
        found, tag = self._read()
        now = self._epoch()
        begun = Sweep(number=found.number + 1, names=frozenset(names), until=now + LEASE)
        if (found.names and now < found.until + MARGIN) or not self._say(begun, tag):
            raise ConflictError(
                "somebody else is pruning this store",
                hint=f"wait until they are done; {(LEASE + MARGIN) / 60:.0f} minutes if they died",
                where=self._bucket.where,
            )
        return begun

    def end(self, begun: Sweep) -> None:
        """Say that what was begun is done."""
        found, tag = self._read()
        if found.number == begun.number:  # else it took too long, and somebody else went on
            self._say(Sweep(number=begun.number + 1), tag)

    def _read(self) -> tuple[Sweep, str]:
        try:
            data, tag = self._bucket.read(KEY)
        except FileNotFoundError:
            return Sweep(), ""
        return msgspec.json.decode(data, type=Sweep), tag

    def _say(self, sweep: Sweep, tag: str) -> bool:
        data = msgspec.json.encode(sweep)
        return self._bucket.replace(KEY, data, tag) if tag else self._bucket.create(KEY, data)
