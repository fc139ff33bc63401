"""Sweeps and writers at the same time: every way in which their requests can come one after the other.

Writers and a sweeper run as threads, of which one goes on at a time: each waits before every request that it
sends until a schedule picks it. So an interleaving is a list of numbers, and is the same each time.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.backends.blobs.bucket import Object
from nenrin.backends.blobs.s3 import COPIES_KEPT, S3Store
from nenrin.backends.blobs.sweeping import KEY, LEASE, MARGIN, Sweeps
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.pruning import GRACE

NOW = 1e9
DATA = b"a ring"
DIGEST = digest_bytes(DATA)
OBJECT = f"{DIGEST[:2]}/{DIGEST}"
BUCKETS = itertools.count()


class Clock:
    """Process time that only waiting moves."""

    def __init__(self) -> None:
        self.now = NOW

    def epoch(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class MemoryBucket:
    """A bucket that keeps its promises; ``turn`` is called before each request."""

    where = "s3://bucket"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.address = f"{self.where} number {next(BUCKETS)}"
        self.kept: dict[str, tuple[bytes, float, int]] = {}
        self.writes = 0
        self.turn: Callable[[str], None] = lambda request: None

    def seen(self, key: str) -> Object | None:
        if key not in self.kept:
            return None
        data, written, number = self.kept[key]
        return Object(key, len(data), written, str(number))

    def look(self, key: str) -> Object | None:
        self.turn("look")
        return self.seen(key)

    def objects(self, prefix: str = "") -> Iterator[Object]:
        self.turn("list")
        yield from filter(None, map(self.seen, list(self.kept)))

    def read(self, key: str) -> tuple[bytes, str]:
        self.turn("read")
        found = self.seen(key)
        if found is None:
            raise FileNotFoundError(key)
        return self.kept[key][0], found.tag

    def chunks(self, key: str) -> Iterator[bytes]:
        yield self.read(key)[0]

    def create(self, key: str, data: bytes) -> bool:
        self.turn("create")
        return key not in self.kept and self.set(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        self.turn("replace")
        found = self.seen(key)
        return found is not None and found.tag == tag and self.set(key, data)

    def write(self, key: str, data: bytes) -> None:
        self.turn("write")
        self.set(key, data)

    def remove(self, keys: list[str]) -> None:
        self.turn("remove")
        for key in keys:
            self.kept.pop(key, None)

    def set(self, key: str, data: bytes, written: float | None = None) -> bool:
        self.writes += 1
        self.kept[key] = (data, self.clock.now if written is None else written, self.writes)
        return True


class Turns:
    """Lets threads go on one request at a time, in the order of a schedule."""

    def __init__(self, schedule: list[int]) -> None:
        self.schedule = schedule
        self.threads: list[threading.Thread] = []
        self.waiting: dict[int, threading.Semaphore] = {}
        self.stopped = threading.Semaphore(0)  # released when a thread waits, or has ended
        self.errors: list[Exception] = []
        self.me = threading.local()

    def before(self, request: str) -> None:
        self.stopped.release()
        self.waiting[self.me.number].acquire()

    def run(self, *works: Callable[[], object]) -> None:
        ended: set[int] = set()

        def start(number: int, work: Callable[[], object]) -> None:
            self.me.number = number
            self.before("start")
            try:
                work()
            except Exception as error:  # noqa: BLE001 - asserted to be none
                self.errors.append(error)
            ended.add(number)
            self.stopped.release()

        for number, work in enumerate(works):
            self.waiting[number] = threading.Semaphore(0)
            self.threads.append(threading.Thread(target=start, args=(number, work), daemon=True))
            self.threads[-1].start()
            self.stopped.acquire()
        picks = iter(self.schedule)
        turn = 0
        while len(ended) < len(works):
            left = [number for number in range(len(works)) if number not in ended]
            turn += 1
            pick = left[next(picks, turn) % len(left)]
            self.waiting[pick].release()
            assert self.stopped.acquire(timeout=120), "a thread neither waits nor ends"
        for thread in self.threads:
            thread.join(120)


def _store(bucket: MemoryBucket, clock: Clock, copies: Path) -> S3Store:
    return S3Store("s3://bucket", copies, timer=clock, bucket=bucket)  # type: ignore[arg-type]


def _in_this_order(
    copies: Path, schedule: list[int], age: float | None, *, writers: int = 1, sweeps: int = 1
) -> None:
    """Writers put content of an age (None: it is not there) while sweeps go over it."""
    clock = Clock()
    bucket = MemoryBucket(clock)
    if age is not None:
        bucket.set(OBJECT, DATA, NOW - age)
    turns = Turns(schedule)
    bucket.turn = turns.before
    returned: list[bool] = []

    def put() -> None:
        _store(bucket, clock, copies).put(DATA)
        returned.append(OBJECT in bucket.kept)

    def sweep() -> None:
        sweeper = _store(bucket, clock, copies)
        for _ in range(sweeps):
            sweeper.sweep([DIGEST], NOW - GRACE)

    turns.run(sweep, *[put] * writers)
    assert turns.errors == []
    assert returned == [True] * writers
    assert bucket.kept[OBJECT][0] == DATA
    assert bucket.kept[OBJECT][1] >= NOW - GRACE


@pytest.mark.parametrize("age", [None, 2 * GRACE])
def test_what_put_returned_is_there_in_every_order(tmp_path: Path, age: float | None) -> None:
    """Of one sweep's first seven turns, and the writer's first six."""
    for chosen in itertools.combinations(range(13), 6):
        _in_this_order(tmp_path, [int(turn in chosen) for turn in range(13)], age)


@settings(max_examples=200)
@given(
    runs=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 8)), max_size=12),
    age=st.sampled_from([0.0, GRACE / 2, GRACE - 1, GRACE + 1, None]),
    sweeps=st.integers(1, 2),
    writers=st.integers(1, 2),
)
def test_what_put_returned_is_there_in_longer_orders(
    tmp_path_factory: pytest.TempPathFactory,
    runs: list[tuple[int, int]],
    age: float | None,
    sweeps: int,
    writers: int,
) -> None:
    schedule = [number for number, count in runs for _ in range(count)]
    copies = tmp_path_factory.getbasetemp() / "copies"
    _in_this_order(copies, schedule, age, writers=writers, sweeps=sweeps)


def test_the_check_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at the sweep the first schedule that puts the write between look and remove loses it."""
    clock = Clock()
    bucket = MemoryBucket(clock)
    bucket.set(OBJECT, DATA, NOW - 2 * GRACE)
    store = _store(bucket, clock, tmp_path)

    def turn(request: str) -> None:
        if request == "remove":
            bucket.turn = lambda request: None
            store._write(OBJECT, DATA)  # what put was before

    bucket.turn = turn
    _store(bucket, clock, tmp_path).sweep([DIGEST], NOW - GRACE)
    assert OBJECT not in bucket.kept


def test_a_process_knows_what_another_one_of_its_machine_has_read(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)
    asked: list[str] = []
    bucket.turn = asked.append
    _store(bucket, clock, tmp_path).put(DATA)
    assert asked == ["read", "create", "read"]
    asked.clear()
    _store(bucket, clock, tmp_path).put(b"another")
    assert asked == ["create", "read"]
    elsewhere = MemoryBucket(clock)
    elsewhere.turn = asked.append
    asked.clear()
    _store(elsewhere, clock, tmp_path).put(DATA)
    assert asked == ["read", "create", "read"]


def test_an_old_note_leads_to_a_look(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)
    _store(bucket, clock, tmp_path).put(DATA)
    _store(bucket, clock, tmp_path / "of another machine").sweep([DIGEST], NOW - GRACE)
    asked: list[str] = []
    bucket.turn = asked.append
    _store(bucket, clock, tmp_path).put(b"another")
    assert asked == ["create", "read", "look"]


def test_what_is_found_old_is_written_again(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)
    bucket.set(OBJECT, DATA, NOW - GRACE / 2)
    store = _store(bucket, clock, tmp_path)
    store.put(DATA)
    assert bucket.kept[OBJECT][1] == NOW
    writes = bucket.writes
    clock.now += GRACE / 8
    store.put(DATA)
    assert bucket.writes == writes  # it is young enough
    assert store.sweep([DIGEST], NOW - GRACE) == []


def test_a_sweeper_that_died_is_waited_for_and_then_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)
    bucket.set(OBJECT, DATA, NOW - 2 * GRACE)

    def die(request: str) -> None:
        if request == "remove":
            raise KeyboardInterrupt

    died = _store(bucket, clock, tmp_path)
    bucket.turn = die
    died._sweeps.end = lambda begun: None  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        died.sweep([DIGEST], NOW - GRACE)
    bucket.turn = lambda request: None

    other = _store(bucket, clock, tmp_path)
    with pytest.raises(ConflictError, match="somebody else is pruning") as caught:
        other.sweep([DIGEST], NOW - GRACE)
    assert "4 minutes" in caught.value.hint
    began = clock.now
    other.put(b"something else")
    assert clock.now == began  # it is not being swept
    other.put(DATA)
    assert clock.now >= began + LEASE + MARGIN
    assert OBJECT in bucket.kept
    assert other.sweep([DIGEST], NOW - GRACE) == []


def test_a_sweeper_that_is_too_slow_lets_go_of_nothing(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)
    bucket.set(OBJECT, DATA, NOW - 2 * GRACE)

    def slow(request: str) -> None:
        if request == "look":
            clock.now += LEASE + 1

    bucket.turn = slow
    with pytest.raises(UnavailableError, match="too slow"):
        _store(bucket, clock, tmp_path).sweep([DIGEST], NOW - GRACE)
    assert OBJECT in bucket.kept
    assert not Sweeps(bucket, clock.epoch, tmp_path / "note").look().names  # type: ignore[arg-type]


def test_one_sweeper_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    bucket = MemoryBucket(clock)

    def meanwhile(request: str) -> None:
        if request == "create":  # another sweeper says it first
            bucket.turn = lambda request: None
            Sweeps(bucket, clock.epoch, tmp_path / "note").begin(["0" * 64])  # type: ignore[arg-type]

    bucket.turn = meanwhile
    with pytest.raises(ConflictError):
        _store(bucket, clock, tmp_path).sweep([DIGEST], NOW - GRACE)
    assert b"000" in bucket.kept[KEY][0]


def test_a_sweep_lets_go_of_copies_too(store: S3Store, tmp_path: Path) -> None:
    kept, swept = (store.put(data) for data in (b"kept", b"swept"))
    paths = [store.file(digest) for digest in (kept, swept)]
    later = max(blob.written for blob in store.blobs()) + 1
    assert store.sweep([swept], later) == [swept]
    assert [path.exists() for path in paths] == [True, False]
    assert list(store.digests()) == [kept]
    store.sweep([], later)
    assert paths[0].exists()
    clock = Clock()
    clock.now = later + COPIES_KEPT + 60
    S3Store(store._url, tmp_path / "copies", timer=clock).sweep([], later)
    assert not paths[0].exists()  # of a week ago
    assert store.get(kept) == b"kept"
