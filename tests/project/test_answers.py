"""Answers of models: what is read back is what was computed, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.pipelines import SqlResults
from nenrin.core.calendar import SystemCalendar
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.engine import Engine
from nenrin.project.answers import RememberedAnswers
from nenrin.training.artefact import dump

ODD = np.array([0.1 + 0.2, -0.0, np.nan, np.inf, 5e-324])
ODD.view(np.uint64)[2] |= 7  # a NaN with a payload of its own


class Constant:
    """A class of the project's: it is pickled."""

    def predict(self, rows: Any) -> Any:
        """Halves."""
        return np.full(len(rows), 0.5)


class Here:
    """An engine and a store, and what reads and writes answers there."""

    def __init__(self, folder: Path) -> None:
        self.units = Database(f"sqlite:///{folder / 'state.db'}", durable=False)
        self.store = LocalStore(folder / "store", durable=False)
        self.engine = Engine(self.units, SqlResults(), SystemCalendar(), SystemTimer(), "dev")

    def answers(self, code: str = "code", revision: str = "revision") -> RememberedAnswers:
        """As another backtest would have them."""
        return RememberedAnswers(self.engine, self.store, code, revision)

    def model(self, model: Any) -> str:
        """A fit, kept."""
        kept = dump(
            model,
            name="agree",
            where="project.py",
            task="regression",
            container="numpy",
            columns=(),
        )
        return self.store.put(kept)

    def plain(self, alpha: float = 1.0) -> str:
        """A fit whose file holds no code."""
        from sklearn.linear_model import Ridge

        return self.model(Ridge(alpha=alpha))


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_what_is_kept_comes_back_to_the_bit(here: Here) -> None:
    model, other = here.plain(), here.plain(2.0)
    first = here.answers()
    first.add(model, "rows", ODD, 0.25)
    first.add(other, "rows", ODD[:2], 0.5)
    first.add(model, "more", ODD[1:], 0.25)
    first.keep()
    again = here.answers()
    assert again.get(model, "rows").tobytes() == ODD.tobytes()
    assert again.get(model, "more").tobytes() == ODD[1:].tobytes()
    assert again.get(other, "rows").tobytes() == ODD[:2].tobytes()
    assert not again.has(other, "more")
    assert not again.has(here.plain(3.0), "rows")


def test_what_was_not_kept_is_not_known_to_another(here: Here) -> None:
    model = here.plain()
    first = here.answers()
    first.add(model, "rows", ODD, 0.25)
    assert first.has(model, "rows")
    assert not here.answers().has(model, "rows")


def test_what_comes_later_is_added_to_a_model_s_one_entry(here: Here) -> None:
    model = here.plain()
    for rows in ("one", "two"):
        each = here.answers()
        each.add(model, rows, ODD, 0.25)
        each.keep()
    again = here.answers()
    assert again.has(model, "one")
    assert again.has(model, "two")
    kept = here.engine.newest("score")
    assert kept is not None
    assert kept.cpu == 0.5
    again.keep()  # nothing is new
    assert here.engine.newest("score") == kept


def test_other_code_is_asked_and_of_pickles_another_revision_too(here: Here) -> None:
    plain, pickled = here.plain(), here.model(Constant())
    first = here.answers()
    for model in (plain, pickled):
        first.add(model, "rows", ODD, 0.25)
    first.keep()
    assert here.answers().has(pickled, "rows")
    assert not here.answers(code="changed").has(plain, "rows")
    assert here.answers(revision="changed").has(plain, "rows")
    assert not here.answers(revision="changed").has(pickled, "rows")


def test_a_damaged_entry_is_made_again_and_said(here: Here) -> None:
    model = here.plain()
    first = here.answers()
    first.add(model, "rows", ODD, 0.25)
    first.keep()
    kept = here.engine.newest("score")
    assert kept is not None
    path = here.store.file(kept.output)
    path.chmod(0o600)
    path.write_bytes(b"torn")
    fresh = here.answers()
    assert not fresh.has(model, "rows")
    fresh.add(model, "rows", ODD, 0.25)
    fresh.keep()
    assert here.answers().get(model, "rows").tobytes() == ODD.tobytes()
    (event,) = here.units.find("dev", kind="healed.rerun")
    assert event.subject == "score"
