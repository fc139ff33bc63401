"""A small world for the loop: rows of a logistic process, and models that are a dict of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.digest import digest
from nenrin.core.instants import DAY, HOUR, NEVER, local_instant, local_midnight
from nenrin.gates.evidence import read_policy
from nenrin.loop.declare import DeploymentSpec, Recipe, every, history, trailing
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Fitted, Order, Step
from nenrin.loop.scores import Scores
from nenrin.loop.served import Counter
from nenrin.loop.state import State
from nenrin.serving.router import Route, Router, Variant, key_hashes
from nenrin.stats.metrics import ROW_LOSSES
from nenrin.training.labels import Labels
from nenrin.training.table import RowTable

ZONE = "America/New_York"
BEGIN = date(2021, 1, 1)
USUAL = Options()


def row_table(days: int, a_day: int = 120, drift: float = 0.0, seed: int = 1) -> RowTable:
    """Rows all around the clock; the chance of a label moves by ``drift`` a day in logits."""
    random = np.random.default_rng(seed)
    start = local_midnight(BEGIN, ZONE)
    n = days * a_day
    asked = np.sort(start + random.integers(0, days * DAY, n))
    x = random.normal(size=n)
    logit = -0.5 + x + drift * (asked - start) / DAY
    y = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    answered = asked + random.integers(HOUR, 5 * HOUR, n)
    empty = np.empty(0, dtype=np.int64)
    labels = Labels(answered, y, empty, empty, np.empty(0))
    keys = pl.Series([f"row-{i:07d}" for i in range(n)])
    return RowTable(ZONE, asked, asked, labels, (), np.zeros(n, np.int8), keys), x


class FakeTrainer:
    """Fits a logistic offset: the mean label of the training rows, with the true slope."""

    def __init__(self, table: RowTable, x: np.ndarray) -> None:
        self.table = table
        self.x = x
        self.orders: list[Order] = []
        self._offsets: dict[str, float] = {}

    def tune(self, at: int, train_end: int, judge_end: int) -> dict[str, Any]:
        """Nothing to tune."""
        return {}

    def fit(self, orders: Sequence[Order]) -> list[Fitted]:
        """One model an order."""
        return [self._fit(order) for order in orders]

    def _fit(self, order: Order) -> Fitted:
        self.orders.append(order)
        lo, hi = self.table.between(order.cutoff - (order.recipe.since or NEVER // 2), order.cutoff)
        y = self.table.labels_at(order.at, lo, hi)
        known = np.isfinite(y)
        offset = 0.0
        for _ in range(20):
            p = 1 / (1 + np.exp(-(offset + self.x[lo:hi][known])))
            offset += float(np.sum(y[known] - p) / np.sum(p * (1 - p)))
        model = digest([offset])
        self._offsets[model] = offset
        version = f"version-{digest([model, order.recipe.name, order.cutoff])[:12]}"
        return Fitted(version=version, model=model)

    def scorable(self, model: str) -> bool:
        """Every model reads x."""
        return model in self._offsets

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Probabilities."""
        return [1 / (1 + np.exp(-(self._offsets[model] + self.x[lo:hi]))) for lo, hi in spans]


class ListJournal:
    """Keeps steps in a list."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def commit(self, step: Step, state: State) -> None:
        """Keep the step; the state must survive being written and read."""
        assert State.loads(state.dumps()).dumps() == state.dumps()
        self.steps.append(step)

    def kinds(self) -> list[str]:
        """The kinds of all events, in order."""
        return [line.kind for step in self.steps for line in step.lines]


def split(hashes: np.ndarray, variants: Sequence[tuple[str, int]]) -> np.ndarray:
    """The router's split."""
    route = Route(
        deployment="demo", variants=tuple(Variant(version=v, weight=w) for v, w in variants)
    )
    return Router(route).split(hashes)


def deployed(
    table: RowTable,
    trainer: FakeTrainer,
    *,
    look: date,
    recipes: tuple[Recipe, ...] = (history(), trailing("30d")),
    options: Options = USUAL,
) -> Deployed:
    """A deployment on that ground whose first look is at 04:00 of ``look``."""
    ground = Ground(table, ROW_LOSSES["log_loss"])
    hashes = key_hashes(table.keys)
    scores = Scores(ground, trainer, hashes)
    at = local_instant(look, time(4), ZONE)
    settle = 6 * HOUR
    return Deployed(
        declared=DeploymentSpec(
            name="demo",
            recipes=recipes,
            refresh=every("7d", at="04:00"),
            serve="champion",
            canary=(20, 100),
            settle=None,
            gates="",
            contract="",
            where="project.py:1",
        ),
        task="binary",
        row_loss="log_loss",
        ground=ground,
        scores=scores,
        trainer=trainer,
        counter=Counter(ground, scores, hashes, split),
        metrics=("log_loss", "roc_auc"),
        policy=read_policy(),
        checks=lambda start, end: [],
        options=options,
        state=State(
            settle=settle,
            next_block=ground.cut.closed_blocks(at, settle),
            next_day=ground.cut.closed_days(at, settle),
            next_look=at,
        ),
    )
