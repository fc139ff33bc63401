"""Contract suites for stores and units of work, and the simplest things that pass them.

An adapter proves itself by a test class of its own::

    class TestMyStore(ContentStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.core.actor import act_for, signed
from nenrin.core.digest import canonical, digest_bytes
from nenrin.core.errors import ConflictError, IntegrityError, NotFoundError
from nenrin.core.ledger import GENESIS, Event, Kept, seal, verify
from nenrin.core.store import Blob, ContentStore
from nenrin.core.unit import Units


class MemoryStore:
    """A ``ContentStore`` that forgets everything when it goes."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._folder: Path | None = None

    def put(self, data: bytes) -> str:
        """Keep ``data`` and give its digest."""
        digest = digest_bytes(data)
        self._blobs.setdefault(digest, bytes(data))
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of ``digest``; ``NotFoundError`` if there are none, ``IntegrityError`` if changed."""
        try:
            data = self._blobs[digest]
        except KeyError:
            raise NotFoundError(
                f"no content is kept as {digest}", hint="put it here first"
            ) from None
        if digest_bytes(data) != digest:
            raise IntegrityError(f"the content kept as {digest} has changed", hint="put it again")
        return data

    def has(self, digest: str) -> bool:
        """Whether ``digest`` is kept."""
        return digest in self._blobs

    def verify(self, digest: str) -> None:
        """Compare; ``IntegrityError`` if the bytes have changed."""
        self.get(digest)

    def size(self, digest: str) -> int:
        """How many bytes ``digest`` has."""
        return len(self.get(digest))

    def blobs(self) -> Iterator[Blob]:
        """What is kept; when it was put last nobody knows: long ago."""
        for digest in self.digests():
            yield Blob(digest, len(self._blobs[digest]), 0.0)

    def digests(self) -> Iterator[str]:
        """Every digest kept, sorted."""
        yield from sorted(self._blobs)

    def remove(self, digest: str) -> None:
        """Let go of ``digest``."""
        self._blobs.pop(digest, None)

    def sweep(self, digests: Iterable[str], before: float) -> list[str]:
        """Let go of those that were put last before ``before``."""
        old = {each.digest for each in self.blobs() if each.written < before}
        gone = [digest for digest in digests if digest in old]
        for digest in gone:
            self.remove(digest)
        return gone

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of ``digest``, in one piece."""
        yield self.get(digest)

    def file(self, digest: str) -> Path:
        """A temporary file with these bytes."""
        data = self.get(digest)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp())
            weakref.finalize(self, shutil.rmtree, self._folder)
        path = self._folder / digest
        path.write_bytes(data)
        return path

    def damage(self, digest: str, data: bytes) -> None:
        """Change what is kept under ``digest``, as a bad disk would."""
        self._blobs[digest] = data


class MemoryUnit:
    """A unit of :class:`MemoryUnits`."""

    def __init__(self, environment: str, at: int, *, writes: bool) -> None:
        self.environment = environment
        self.at = at
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []
        self._writes = writes

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        """Append an event; ``ConflictError`` in a unit that only reads, or has ended."""
        if not self._writes:
            raise ConflictError(f"{kind} cannot be recorded here", hint="open a unit that writes")
        self.recorded.append((kind, subject, msgspec.json.decode(canonical(signed(body)))))

    def end(self) -> None:
        """Nothing can be recorded any more."""
        self._writes = False


class MemoryUnits:
    """``Units`` whose ledger is a list; what a room's fake store writes is not rolled back."""

    def __init__(self) -> None:
        self._chains: dict[str, list[Event]] = {}
        self._open = False

    @contextmanager
    def write(self, environment: str, at: int) -> Iterator[MemoryUnit]:
        """A unit whose events are sealed when its block ends, and forgotten when it raises."""
        if self._open:
            raise ConflictError("a unit of work is open already", hint="pass the open unit on")
        self._open = True
        unit = MemoryUnit(environment, at, writes=True)
        try:
            yield unit
            for kind, subject, body in unit.recorded:
                self._append(environment, at, kind, subject, body)
        finally:
            unit.end()
            self._open = False

    @contextmanager
    def read(self, environment: str) -> Iterator[MemoryUnit]:
        """A unit that only reads."""
        yield MemoryUnit(environment, 0, writes=False)

    def events(self, environment: str, after: int = 0) -> Iterator[Event]:
        """Events with a sequence greater than ``after``, in order."""
        yield from self._chains.get(environment, [])[after:]

    def find(
        self,
        environment: str,
        *,
        kind: str | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Events of a kind, a subject, or both, in order; with a ``limit`` the newest."""
        found = [
            event
            for event in self.events(environment)
            if kind in (None, event.kind) and subject in (None, event.subject)
        ]
        return found if limit is None else found[-limit:]

    def head(self, environment: str) -> tuple[int, str]:
        """Sequence and hash of the newest event."""
        chain = self._chains.get(environment)
        return (chain[-1].sequence, chain[-1].hash) if chain else (0, GENESIS)

    def environments(self) -> list[str]:
        """Every environment that has events, sorted."""
        return sorted(self._chains)

    def kept(self) -> dict[str, Kept]:
        """The newest event of every environment."""
        return {name: Kept(*self.head(name)) for name in self._chains}

    def _append(
        self, environment: str, at: int, kind: str, subject: str, body: dict[str, Any]
    ) -> None:
        sequence, previous = self.head(environment)
        event = seal(
            previous,
            environment=environment,
            sequence=sequence + 1,
            at=at,
            kind=kind,
            subject=subject,
            body=body,
        )
        self._chains.setdefault(environment, []).append(event)


class ContentStoreContract:
    """What every ``ContentStore`` does. Subclasses give the fixture ``store``, an empty one."""

    def test_gives_back_what_was_put(self, store: ContentStore) -> None:
        """Any bytes, also none."""
        for data in (b"", b"\x00", b"rings" * 100_000):
            digest = store.put(data)
            assert digest == digest_bytes(data)
            assert store.get(digest) == data
            assert store.file(digest).read_bytes() == data
            assert store.has(digest)
            store.verify(digest)

    def test_a_second_put_changes_nothing(self, store: ContentStore) -> None:
        """The same bytes have one name."""
        assert store.put(b"once") == store.put(b"once")
        assert list(store.digests()) == [digest_bytes(b"once")]

    def test_what_is_removed_is_gone_and_can_be_put_again(self, store: ContentStore) -> None:
        """Removing what is not there is nothing."""
        digest = store.put(b"twice")
        assert store.size(digest) == 5
        store.remove(digest)
        store.remove(digest)
        assert not store.has(digest)
        for ask in (store.size, store.get, store.file):
            with pytest.raises(NotFoundError):
                ask(digest)
        assert store.put(b"twice") == digest
        assert store.get(digest) == b"twice"

    def test_a_sweep_spares_what_was_put_lately(self, store: ContentStore) -> None:
        """And takes of the rest what it was given, whether it is there or not."""
        old, gone, other = (store.put(data) for data in (b"old", b"gone", b"other"))
        store.remove(gone)
        (first,) = (each.written for each in store.blobs() if each.digest == old)
        assert store.sweep([gone, old], first) == []
        assert store.has(old)
        later = max(each.written for each in store.blobs()) + 1
        assert store.sweep([gone, old], later) == [old]
        assert list(store.digests()) == [other]
        assert store.get(store.put(b"old")) == b"old"

    def test_gives_bytes_piece_by_piece(self, store: ContentStore) -> None:
        """Also many of them, which no one request would take."""
        data = bytes(range(251)) * 80_000
        digest = store.put(data)
        assert b"".join(store.chunks(digest)) == data
        assert list(store.chunks(store.put(b""))) in ([], [b""])
        with pytest.raises(NotFoundError):
            list(store.chunks("0" * 64))

    def test_lists_what_is_kept(self, store: ContentStore) -> None:
        """With its size, sorted."""
        put = {store.put(b"x" * size): size for size in (0, 7, 100)}
        assert [(each.digest, each.size) for each in store.blobs()] == sorted(put.items())

    def test_lists_digests_sorted(self, store: ContentStore) -> None:
        """In the same order whatever the order of puts."""
        assert list(store.digests()) == []
        put = [store.put(str(number).encode()) for number in range(40)]
        assert list(store.digests()) == sorted(put)

    @pytest.mark.parametrize("digest", ["0" * 64, "", "..", "../../etc/passwd", "é" * 64])
    def test_says_what_is_not_there(self, store: ContentStore, digest: str) -> None:
        """Also of names that are no digests."""
        assert not store.has(digest)
        for ask in (store.get, store.verify, store.file):
            with pytest.raises(NotFoundError):
                ask(digest)


class UnitsContract:
    """What every ``Units`` does. Subclasses give the fixture ``units``, without events."""

    def test_seals_in_the_order_of_commits(self, units: Units) -> None:
        """One chain an environment, sequences from 1, and it verifies."""
        assert units.head("dev") == (0, GENESIS)
        for at in range(3):
            with units.write("dev", at) as unit:
                assert (unit.environment, unit.at) == ("dev", at)
                unit.record("dataset.loaded", "flights", {"rows": at})
                unit.record("version.registered", "delay", {"of": [at]})
        events = list(units.events("dev"))
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
        assert [event.at for event in events] == [0, 0, 1, 1, 2, 2]
        assert verify(events) == (events[-1].hash, [])
        assert units.head("dev") == (6, events[-1].hash)

    def test_environments_have_chains_of_their_own(self, units: Units) -> None:
        """That are equal when they say the same."""
        for environment in ("prod", "dev", "backtest/b-1"):
            with units.write(environment, 7) as unit:
                unit.record("ring.closed", "delay", {"by": environment[0]})
        with units.write("backtest/b-2", 7) as unit:
            unit.record("ring.closed", "delay", {"by": "b"})
        assert units.environments() == ["backtest/b-1", "backtest/b-2", "dev", "prod"]
        assert units.head("backtest/b-1") == units.head("backtest/b-2") != units.head("dev")

    def test_says_who_asked(self, units: Units) -> None:
        """Where somebody did, in that context."""

        def asked(name: str) -> None:
            act_for(name)
            with units.write("dev", 1) as unit:
                unit.record("deployment.frozen", "delay", {"reason": "the release"})

        copy_context().run(asked, "Ada")
        with units.write("dev", 2) as unit:
            unit.record("deployment.unfrozen", "delay", {})
        first, second = units.events("dev")
        assert first.body == {"reason": "the release", "actor": "Ada"}
        assert second.body == {}

    def test_a_cursor_misses_nothing(self, units: Units) -> None:
        """``after`` is a sequence that was seen."""
        seen: list[int] = []
        for at in range(5):
            with units.write("dev", at) as unit:
                for _ in range(at):
                    unit.record("day.closed", "delay", {})
            seen += [event.sequence for event in units.events("dev", seen[-1] if seen else 0)]
        assert seen == list(range(1, 11))

    def test_a_unit_that_raises_leaves_nothing(self, units: Units) -> None:
        """Neither events nor a lock."""
        with contextlib.suppress(ZeroDivisionError), units.write("dev", 1) as unit:
            unit.record("day.closed", "delay", {})
            raise ZeroDivisionError
        with pytest.raises(ConflictError):
            unit.record("day.closed", "delay", {})
        assert list(units.events("dev")) == []
        with units.write("dev", 2) as unit:
            unit.record("day.closed", "delay", {})
        assert units.head("dev")[0] == 1

    def test_notes_the_newest_event_beside_the_ledger(self, units: Units) -> None:
        """In the unit that seals it."""
        for at in range(3):
            for environment in ("dev", "prod"):
                with units.write(environment, at) as unit:
                    unit.record("day.closed", "delay", {"at": at})
        kept = units.kept()
        assert {name: (each.sequence, each.hash) for name, each in kept.items()} == {
            name: units.head(name) for name in ("dev", "prod")
        }

    def test_an_empty_unit_seals_nothing(self, units: Units) -> None:
        """No event, no environment."""
        with units.write("dev", 1):
            pass
        assert units.environments() == []
        assert units.kept() == {}

    def test_bodies_are_taken_as_they_are_at_the_call(self, units: Units) -> None:
        """And read back as they were sealed."""
        body: dict[str, Any] = {"b": (1, 2**63), "a": {"10": 0.1, "9": None}, "é": "\n"}
        with units.write("dev", 1) as unit:
            unit.record("day.closed", "delay", body)
            body["a"] = "changed later"
        (event,) = units.events("dev")
        assert event.body == {"a": {"9": None, "10": 0.1}, "b": [1, 2**63], "é": "\n"}
        assert verify([event])[1] == []

    def test_refuses_what_is_not_plain(self, units: Units) -> None:
        """At the call, so that the line is known."""
        with units.write("dev", 1) as unit:
            bodies: list[dict[Any, Any]] = [{"what": object()}, {1: "a key"}]
            for body in bodies:
                with pytest.raises(TypeError):
                    unit.record("day.closed", "delay", body)

    def test_records_only_in_an_open_unit_that_writes(self, units: Units) -> None:
        """A reading or an ended one refuses."""
        with units.read("dev") as reading, pytest.raises(ConflictError):
            reading.record("day.closed", "delay", {})
        with units.write("dev", 1) as unit:
            pass
        with pytest.raises(ConflictError):
            unit.record("day.closed", "delay", {})

    def test_refuses_a_unit_within_a_unit(self, units: Units) -> None:
        """Which would wait for itself."""
        with units.write("dev", 1) as unit:
            with pytest.raises(ConflictError), units.write("prod", 1):
                pass
            unit.record("day.closed", "delay", {})
        assert units.environments() == ["dev"]
