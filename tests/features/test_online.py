"""Features from an online store are those of the feature state, to the bit, whatever came before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import IntegrityError, RequestError, UnavailableError
from nenrin.core.instants import HOUR
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.materialise import KEPT, Materialiser
from nenrin.features.online import OnlineFeatures, spaces
from nenrin.features.ports import Entry
from nenrin.features.service import FeatureSet
from nenrin.testing.online import MemoryOnlineStore
from nenrin.testing.stores import MemoryStore
from tests.features.makers import make_dataset, make_view, same
from tests.features.streams import START, VIEWS, questions, state_of, stream

CUTS = (20, 41, 60)


class Folder:
    """A folder's content, and an online store."""

    def __init__(self, store: Any = None) -> None:
        self.content = MemoryStore()
        self.store = MemoryOnlineStore() if store is None else store
        self.places: dict[str, int] = {}
        self.online = Materialiser(self.store, self.content)

    def keep(self, state: FeatureSet) -> str:
        digest = self.content.put(state.dumps())
        self.places.setdefault(digest, len(self.places) + 1)
        return digest

    def bring(self, *states: str, since: int = START) -> int:
        ends = dict.fromkeys(("events", "others"), since + KEPT)
        return self.online.bring("dev", states, lambda: self.places, ends)

    def open(self, state: str) -> OnlineFeatures:
        return OnlineFeatures(self.content.file(state), self.store, "dev", state)


def agree(folder: Folder, digest: str, state: FeatureSet, seed: int, since: int) -> None:
    rows, asked = questions(seed, since)
    rows, asked = [*rows, rows[0]], [*asked, NO_INSTANT]
    found = folder.open(digest).rows(rows, asked)
    for row, at, told, expected in zip(rows, asked, found, state.rows(rows, asked), strict=True):
        assert list(told) == list(expected)
        assert all(same(told[name], expected[name]) for name in told), (row, at, told, expected)


@pytest.mark.parametrize("seed", range(10))
def test_answers_as_the_state_does_load_after_load(seed: int) -> None:
    known, folder = stream(seed), Folder()
    for cut in CUTS:
        since = int(known["__known__"][cut - 1]) - 2 * HOUR
        state = state_of(known.head(cut))
        digest = folder.keep(state)
        folder.bring(digest, since=since)
        agree(folder, digest, state, seed, since)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_writing_changes_nothing(seed: int) -> None:
    known, folder = stream(seed), Folder()
    states = [state_of(known.head(cut)) for cut in CUTS]
    digests = [folder.keep(state) for state in states]
    draw = np.random.default_rng(seed)
    for place in draw.permutation([0, 1, 2, 2, 1, 0]):
        folder.bring(digests[place])
    for digest in digests:
        agree(folder, digest, states[-1], seed, START)


class Failing(MemoryOnlineStore):
    """Fails every so often, with some of a call written."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = np.random.default_rng(seed)
        self.fails = True

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        entries = list(entries)
        if self.fails and self.draw.random() < 0.3:
            super().put_newer(space, entries[: int(self.draw.integers(len(entries) + 1))])
            raise UnavailableError("away")
        return super().put_newer(space, entries)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_cut_off_goes_on(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nenrin.features.materialise._BATCH", 2)
    known, store = stream(seed), Failing(seed)
    folder = Folder(store)
    states = [state_of(known.head(cut)) for cut in CUTS]
    for state in states:
        digest = folder.keep(state)
        for _ in range(4):  # it may never come to its end before the next load
            try:
                folder.bring(digest)
            except UnavailableError:
                continue
    store.fails = False
    folder.bring(digest)
    agree(folder, digest, states[-1], seed, START)


class Ending(MemoryOnlineStore):
    """Fails for good after some more puts."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10**9

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("away")
        return super().put_newer(space, entries)


@pytest.mark.parametrize("puts", range(1, 12))
def test_a_half_written_state_begins_anew_from_another(
    puts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route goes back to an older state while a newer one is half written, and forth again."""
    monkeypatch.setattr("nenrin.features.materialise._BATCH", 1)
    known, store = stream(37), Ending()
    folder = Folder(store)
    states = [state_of(known.head(cut)) for cut in (20, 45, 55)]
    first, second, third = [folder.keep(state) for state in states]
    folder.bring(first)
    for cut_off in (second, third):
        store.left = puts
        with suppress(UnavailableError):
            folder.bring(cut_off)
    store.left = 10**9
    for digest in (second, third):
        folder.bring(digest)
    for seed in range(4):
        agree(folder, third, states[-1], seed, START)


def test_goes_on_from_the_key_it_had_come_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nenrin.features.materialise._BATCH", 1)
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    written: list[bytes] = []
    fourth: list[bytes] = []
    put = folder.store.put_newer

    def dying(space: str, entries: Sequence[Entry]) -> int:
        written.extend(key for key, _, _ in entries if key[0] > 0x80)
        if len(written) == 4 and not fourth:
            fourth.append(written.pop())
            raise UnavailableError("away")
        return put(space, entries)

    monkeypatch.setattr(folder.store, "put_newer", dying)
    with pytest.raises(UnavailableError):
        folder.bring(digest)
    written.clear()
    folder.bring(digest)
    assert written[:1] == fourth


def test_only_what_changed_is_written() -> None:
    known, folder = stream(3), Folder()
    state = state_of(known.head(59))
    whole = folder.bring(folder.keep(state))
    assert whole == sum(len(index.keys) for index in state.indexes.values())
    assert folder.bring(*folder.places) == 0
    again = folder.keep(state_of(known))
    assert 0 < folder.bring(again) <= 3
    assert folder.bring(again) == 0


def test_a_state_whose_place_is_not_known_yet_waits_for_it() -> None:
    known, folder = stream(1), Folder()
    folder.bring(folder.keep(state_of(known.head(40))))
    digest = folder.content.put(state_of(known).dumps())
    assert folder.bring(digest) == 0
    with pytest.raises(UnavailableError):
        folder.open(digest)
    folder.places[digest] = 2
    assert folder.bring(digest) > 0


def test_says_how_far_it_is() -> None:
    folder, told = Folder(), []
    digest = folder.keep(state_of(stream(1)))
    folder.online.bring(
        "dev",
        [digest],
        lambda: folder.places,
        {"": START},
        lambda *of, note: told.append((*of, note)),
    )
    assert {note for *_, note in told} == {"newest", "sums", "other", "rows of asked"}
    assert all(stage == "online" and done == total for stage, done, total, _ in told)


def test_refuses_an_earlier_instant() -> None:
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    folder.bring(digest, since=START + HOUR)
    features = folder.open(digest)
    row = {"place": "a", "number": -1}
    features.rows([row], [START + HOUR])
    with pytest.raises(RequestError, match="answers from") as caught:
        features.rows([row], [START + HOUR - 1])
    assert "later instant" in caught.value.hint


def test_a_store_without_the_state_answers_nothing() -> None:
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    with pytest.raises(UnavailableError, match="does not hold"):
        folder.open(digest)
    folder.bring(digest)
    features = folder.open(digest)
    for space in spaces("dev", folder.content.file(digest)):
        folder.store.drop(space)
    with pytest.raises(UnavailableError, match="does not hold"):
        features.rows([{"place": "unknown", "number": 5}], [START])
    assert folder.bring(digest) > 0
    features.rows([{"place": "unknown", "number": 5}], [START])


def test_two_folders_in_one_store_never_answer_for_each_other() -> None:
    mine, seed = Folder(), 4
    yours = Folder(mine.store)
    states = [state_of(stream(4)), state_of(stream(5).head(50))]
    for _ in range(2):
        for folder, state in zip((mine, yours), states, strict=True):
            digest = folder.keep(state)
            folder.bring(digest)
            agree(folder, digest, state, seed, START)
    with pytest.raises(UnavailableError, match="does not hold"):
        mine.open(next(iter(mine.places)))


def test_environments_are_apart() -> None:
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    folder.bring(digest)
    with pytest.raises(UnavailableError):
        OnlineFeatures(folder.content.file(digest), folder.store, "prod", digest)


def test_says_what_is_no_slice() -> None:
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    folder.bring(digest)
    for space in spaces("dev", folder.content.file(digest)):
        for key, version, _ in list(folder.store.scan(space)):
            folder.store.put_newer(space, [(key, version + 2**40, b"what")])
    with pytest.raises(IntegrityError, match="something else"):
        folder.open(digest).rows([{"place": "a", "number": -1}], [START])


def test_says_what_is_no_feature_state() -> None:
    folder = Folder()
    digest = folder.content.put(b"what")
    with pytest.raises(IntegrityError, match="cannot be read"):
        folder.open(digest)


def test_a_request_that_lacks_a_column_is_told_so() -> None:
    folder = Folder()
    digest = folder.keep(state_of(stream(1)))
    folder.bring(digest)
    with pytest.raises(RequestError, match="has no number"):
        folder.open(digest).rows([{"place": "a"}], [START])


def test_a_model_of_request_columns_alone_waits_for_nobody() -> None:
    folder = Folder()
    rows = stream(1).select("place", "number", "__event__", "__known__")
    keyless = make_dataset("asked")
    view = make_view(keyless, VIEWS[-1].function)
    digest = folder.keep(FeatureSet.build([view], keyless, {"asked": rows}))
    assert folder.bring(digest) == 0
    features = folder.open(digest)
    assert not features.waits
    assert features.rows([{"place": "a"}], [START]) == [{"is_a": True}]
    folder.bring(other := folder.keep(state_of(stream(1))))
    assert folder.open(other).waits


def test_a_view_that_is_too_large_is_answered_from_no_store() -> None:
    frame = pl.DataFrame({"place": ["a"], "value": ["a"], "__event__": [1], "__known__": [1]})
    view = make_view(make_dataset("large", key="place"), lambda r: {"v": r.value}, by="place")
    rows = make_dataset("asked", key="id")
    frames = {"large": frame, "asked": frame.with_columns(id=1)}
    state, folder = FeatureSet.build([view], rows, frames, apart=["large"]), Folder()
    digest = folder.keep(state)
    folder.bring(digest)
    # the row has a column of the dataset's name, which is another's value
    with pytest.raises(UnavailableError, match="large is too large"):
        folder.open(digest).rows([{"place": "a", "value": "wrong"}], [1])
