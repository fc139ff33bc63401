"""What planes have counted: plain sums, which add up over the processes of a folder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nenrin.serving.observed import Shadowed, added_up

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper edges of the latency histogram; what took longer counts behind them."""

_FILE = "sums.json"


class Latency(msgspec.Struct):
    """Requests by how long they took: one count an edge and one behind them, and the sum of seconds."""

    counts: list[int]
    total: float = 0.0

    def add(self, seconds: Iterable[float]) -> None:
        """More requests."""
        counts = self.counts
        for each in seconds:
            counts[bisect_left(SECONDS, each)] += 1
            self.total += each


class Sums(msgspec.Struct):
    """Attributes: requests by deployment, protocol and status, rows by deployment and version, latencies
    by deployment; predictions that are not written yet; requests that originals of compiled models answered
    too, and such models that were given up; what shadows have scored; deployments that are open, their
    bytes, how many were opened and let go.
    """

    requests: dict[str, dict[str, dict[str, int]]] = {}
    rows: dict[str, dict[str, int]] = {}
    latencies: dict[str, Latency] = {}
    waiting: int = 0
    rescored: int = 0
    breaches: int = 0
    open: int = 0
    bytes: int = 0
    opened: int = 0
    let_go: int = 0
    shadows: list[Shadowed] = []

    def request(self, deployment: str, protocol: str, status: str, count: int = 1) -> None:
        """So many more requests."""
        found = self.requests.setdefault(deployment, {}).setdefault(protocol, {})
        found[status] = found.get(status, 0) + count

    def answered(self, deployment: str, version: str, rows: int) -> None:
        """So many more rows."""
        found = self.rows.setdefault(deployment, {})
        found[version] = found.get(version, 0) + rows

    def latency(self, deployment: str) -> Latency:
        """The latencies of a deployment."""
        found = self.latencies.get(deployment)
        if found is None:
            found = self.latencies[deployment] = Latency([0] * (len(SECONDS) + 1))
        return found

    def add(self, other: Sums) -> None:
        """Add what another process has counted."""
        for deployment, protocols in other.requests.items():
            for protocol, statuses in protocols.items():
                for status, count in statuses.items():
                    self.request(deployment, protocol, status, count)
        for deployment, versions in other.rows.items():
            for version, rows in versions.items():
                self.answered(deployment, version, rows)
        for deployment, latency in other.latencies.items():
            mine = self.latency(deployment)
            mine.counts = [a + b for a, b in zip(mine.counts, latency.counts, strict=True)]
            mine.total += latency.total
        self.waiting += other.waiting
        self.rescored += other.rescored
        self.breaches += other.breaches
        self.open += other.open
        self.bytes += other.bytes
        self.opened += other.opened
        self.let_go += other.let_go
        self.shadows = added_up([*self.shadows, *other.shadows])


class Board:
    """Where the planes of a folder see each other's sums.

    Args:
        folder: this plane's, beside those of the others.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._written = b""

    def mine(self) -> Sums:
        """What this plane, or the one before it, had told: a counter that fell would count twice."""
        return _read(self._file) or Sums()

    def others(self) -> Iterable[Sums]:
        """What the other planes told last."""
        for path in sorted(self._file.parent.parent.glob(f"*/{_FILE}")):
            found = _read(path) if path != self._file else None
            if found is not None:
                yield found

    def tell(self, content: bytes) -> None:
        """Let the others see an encoded :class:`Sums`; a disk that refuses costs a figure, not an answer."""
        if content == self._written:
            return
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_bytes(content)
            fresh.replace(self._file)
        except OSError:
            return
        self._written = content


def _read(path: Path) -> Sums | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sums)
    except (OSError, msgspec.DecodeError):
        return None
