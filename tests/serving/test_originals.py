"""The process in which originals answer: asked, wrong, silent, and gone with its planes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier

from nenrin.api.forking import FORKED
from nenrin.backends.blobs.local import LocalStore
from nenrin.core.errors import UnavailableError
from nenrin.serving.plane import originals
from nenrin.serving.plane.originals import Originals, run_originals
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import encode
from nenrin.training.containers import BUILD

ROWS = [{"a": 0.3, "s": "x"}, {"a": None, "s": "unseen"}, {"a": -2.0, "s": None}]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def model(store: LocalStore) -> str:
    """The digest of a fitted model."""
    draw = np.random.default_rng(3)
    frame = pl.DataFrame({"a": draw.normal(size=200), "s": draw.choice(["x", "y"], 200)})
    columns = encode(frame)
    fitted = LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1)
    fitted.fit(BUILD["pandas"](columns), (frame["a"] > 0).cast(int).to_numpy())
    specs = tuple(column.spec for column in columns)
    return store.put(
        dump(
            fitted,
            name="m",
            where="project.py:1",
            task="binary",
            container="pandas",
            columns=specs,
        )
    )


class Beside:
    """The process, and the wires of two planes to it."""

    def __init__(self, folder: Path) -> None:
        pipes = [multiprocessing.Pipe() for _ in range(2)]
        theirs = [end for _, end in pipes]
        self.wires: list[Connection] = [plane for plane, _ in pipes]
        self.process = FORKED.Process(
            target=run_originals, args=(partial(LocalStore, folder), theirs)
        )
        self.process.start()
        for end in theirs:
            end.close()


@pytest.fixture
def beside(store: LocalStore) -> Iterator[Beside]:
    beside = Beside(store._root)
    yield beside
    beside.process.kill()
    beside.process.join()


def test_it_answers_as_the_original_and_ends_with_the_planes(
    beside: Beside, store: LocalStore, model: str
) -> None:
    wanted = Artefact.loads(store.get(model), trusted=True).predict_rows(ROWS)
    one, other = (Originals(wire) for wire in beside.wires)
    np.testing.assert_array_equal(one(model, ROWS), wanted)
    with pytest.raises(UnavailableError, match="the original of ffffffffffff cannot answer"):
        other("f" * 64, ROWS)
    np.testing.assert_array_equal(other(model, ROWS[:1]), wanted[:1])
    for wire in beside.wires:
        wire.close()
    beside.process.join(120)
    assert beside.process.exitcode == 0


def test_a_late_answer_is_no_other_questions_and_the_silent_are_asked_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plane, theirs = multiprocessing.Pipe()
    ask = Originals(plane)
    monkeypatch.setattr(originals, "_PATIENCE", 0.0)
    with pytest.raises(UnavailableError, match="did not answer within"):
        ask("m", ROWS)
    theirs.send((1, np.array([0.1])))
    theirs.send((2, np.array([0.2])))
    monkeypatch.setattr(originals, "_PATIENCE", 5.0)
    assert ask("m", ROWS).tolist() == [0.2]
    monkeypatch.setattr(originals, "_PATIENCE", 0.0)
    for _ in range(8):
        with pytest.raises(UnavailableError, match="did not answer within"):
            ask("m", ROWS)
    with pytest.raises(UnavailableError, match="not asked any more"):
        ask("m", ROWS)
    plane.close()
    theirs.close()
