"""Rows without a time: what the gate is told of an archived version's kept answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nenrin.gates.evidence import Evidence
from nenrin.loop.state import Artefact, State
from nenrin.loop.timeless import kept_evidence
from nenrin.serving.router import key_hashes
from nenrin.testing.stores import MemoryStore
from nenrin.training.tasks import Task
from tests.loop.world import table_of

N = 40
NOW = 10**9


def found(task: Task, y: np.ndarray, champion: np.ndarray) -> Evidence:
    """The evidence of a version that answers as the champion does."""
    table, store = table_of(np.arange(N), np.arange(N) + 1, y), MemoryStore()
    kept = store.put(np.stack([key_hashes(table.keys), champion.view(np.uint64)]).tobytes())
    state = State(settle=0, next_block=0, next_day=0, next_look=0, champion="c")
    state.held_out = {"c": kept, "a": kept}
    prepared: Any = SimpleNamespace(table=table, task=task)
    archived = Artefact(version="a", model="m", recipe="history", look=0, cutoff=0)
    return kept_evidence(prepared, state, archived, NOW, store)


def test_probation_of_a_regression_forgives_a_twentieth_of_a_fifth_of_the_champions_loss() -> None:
    y = np.linspace(0.0, 100.0, N)
    task = Task(kind="regression", metric="rmse", loss="squared")
    champion = y + 30.0
    champion[0] = np.nan  # a row that the champion did not have
    assert found(task, y, champion).slack == pytest.approx(900.0 / 5 / 20)


def test_of_probabilities_it_forgives_a_two_hundredth_of_a_nat() -> None:
    y = (np.arange(N) % 2).astype(float)
    task = Task(kind="binary", metric="log_loss", loss="log_loss")
    assert found(task, y, np.full(N, 0.4)).slack == pytest.approx(0.005)
