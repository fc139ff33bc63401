"""A small world for the loop: rows of a logistic process, and models that are a number or an array.

:class:`FakeTrainer` fits an offset, for whole replays. :class:`Told` answers from arrays that a test made,
for single steps; :func:`stand` puts a deployment on a table with versions that were already fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.digest import digest
from nenrin.core.instants import DAY, HOUR, NEVER, local_instant, local_midnight
from nenrin.gates.evidence import read_policy
from nenrin.loop.declare import DeploymentSpec, Recipe, every, history, trailing
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Fitted, Order, Step, Trainer
from nenrin.loop.scores import Scores
from nenrin.loop.served import Counter
from nenrin.loop.state import Artefact, Segment, State
from nenrin.serving.router import Route, Router, Variant, key_hashes
from nenrin.stats.metrics import ROW_LOSSES
from nenrin.training.labels import Labels
from nenrin.training.table import RowTable

ZONE = "America/New_York"
BEGIN = date(2021, 1, 1)
USUAL = Options()
SETTLE = 6 * HOUR
RECIPES = (history(), trailing("30d"))


def noon(day: date) -> int:
    """Noon of a local day."""
    return local_instant(day, time(12), ZONE)


def row_table(
    days: int, a_day: int = 120, drift: float = 0.0, seed: int = 1
) -> tuple[RowTable, np.ndarray]:
    """Rows all around the clock, and their x; the chance of a label moves by ``drift`` a day in logits."""
    random = np.random.default_rng(seed)
    start = local_midnight(BEGIN, ZONE)
    n = days * a_day
    asked = np.sort(start + random.integers(0, days * DAY, n))
    x = random.normal(size=n)
    logit = -0.5 + x + drift * (asked - start) / DAY
    y = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return table_of(asked, asked + random.integers(HOUR, 5 * HOUR, n), y), x


def table_of(asked: np.ndarray, answered: np.ndarray, y: np.ndarray) -> RowTable:
    """A table without features: the fakes know their own."""
    empty = np.empty(0, dtype=np.int64)
    labels = Labels(answered, y, empty, empty, np.empty(0))
    keys = pl.Series([f"row-{i:07d}" for i in range(len(asked))])
    return RowTable(ZONE, asked, asked, labels, (), np.zeros(len(asked), np.int8), keys)


def sound(x: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """The process's own probabilities, moved by ``shift`` in logits."""
    p: np.ndarray = 1 / (1 + np.exp(-(-0.5 + x + shift)))
    return p


class FakeTrainer:
    """Fits an offset to the mean label of the training rows, with the true slope.

    Args:
        table: rows.
        x: their one feature, float64 (rows,).
        task: ``binary``: in logits; ``regression``: added.
    """

    def __init__(self, table: RowTable, x: np.ndarray, task: str = "binary") -> None:
        self.table = table
        self.x = x
        self.binary = task == "binary"
        self.orders: list[Order] = []
        self._offsets: dict[str, float] = {}

    def tune(self, at: int, train_end: int | None, judge_end: int) -> dict[str, Any]:
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
        for _ in range(20 if self.binary else 1):
            p = self._answer(offset, self.x[lo:hi][known])
            slope = np.sum(p * (1 - p)) if self.binary else len(p)
            offset += float(np.sum(y[known] - p) / slope)
        model = digest([offset])
        self._offsets[model] = offset
        version = f"version-{digest([model, order.recipe.name, order.cutoff])[:12]}"
        return Fitted(version=version, model=model)

    def scorable(self, model: str) -> bool:
        """Every model reads x."""
        return model in self._offsets

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Probabilities."""
        return [self._answer(self._offsets[model], self.x[lo:hi]) for lo, hi in spans]

    def keep(self) -> None:
        """Nothing is remembered."""

    def _answer(self, offset: float, x: np.ndarray) -> np.ndarray:
        answer: np.ndarray = 1 / (1 + np.exp(-(offset + x))) if self.binary else offset + x
        return answer


class Told:
    """Models that answer what they were told, one array over the whole table each.

    Args:
        answers: array by model.
        coming: for each recipe the models that its next fits give, in order.
    """

    def __init__(
        self, answers: Mapping[str, np.ndarray], coming: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.answers = dict(answers)
        self.coming = {recipe: list(models) for recipe, models in (coming or {}).items()}
        self.orders: list[Order] = []

    def tune(self, at: int, train_end: int | None, judge_end: int) -> dict[str, Any]:
        """Nothing to tune."""
        return {}

    def fit(self, orders: Sequence[Order]) -> list[Fitted]:
        """The next model of each order's recipe; a version is called as its model."""
        self.orders += orders
        names = [self.coming[order.recipe.name].pop(0) for order in orders]
        return [Fitted(version=name, model=name) for name in names]

    def scorable(self, model: str) -> bool:
        """Every one."""
        return model in self.answers

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """The told answers."""
        return [self.answers[model][lo:hi] for lo, hi in spans]

    def keep(self) -> None:
        """Nothing is remembered."""


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
    trainer: Trainer,
    *,
    look: date,
    recipes: tuple[Recipe, ...] = RECIPES,
    options: Options = USUAL,
    task: str = "binary",
    row_loss: str = "log_loss",
    serve: str = "champion",
) -> Deployed:
    """A deployment on that ground whose first look is at 04:00 of ``look``."""
    ground = Ground(table, ROW_LOSSES[row_loss])
    hashes = key_hashes(table.keys)
    scores = Scores(ground, trainer, hashes)
    at = local_instant(look, time(4), ZONE)
    return Deployed(
        declared=DeploymentSpec(
            name="demo",
            recipes=recipes,
            refresh=every("7d", at="04:00"),
            serve=serve,
            canary=(20, 100),
            settle=None,
            gates="",
            contract="",
            where="project.py:1",
        ),
        task=task,
        row_loss=row_loss,
        ground=ground,
        scores=scores,
        trainer=trainer,
        counter=Counter(ground, scores, hashes, split),
        metrics=("log_loss", "roc_auc") if task == "binary" else ("rmse", "mae"),
        policy=read_policy(),
        checks=lambda start, end: [],
        options=options,
        state=State(
            settle=SETTLE,
            next_block=ground.cut.closed_blocks(at, SETTLE),
            next_day=ground.cut.closed_days(at, SETTLE),
            next_look=at,
        ),
    )


def stand(
    table: RowTable,
    trainer: Trainer,
    fitted: Sequence[tuple[str, str, date]],
    *,
    look: date,
    champion: str,
    anchor: str = "",
    **more: Any,
) -> Deployed:
    """A deployment that has lived: its next look is at 04:00 of ``look``.

    Args:
        table: rows.
        trainer: fits and scores.
        fitted: (version, recipe, day of its look) of every fit so far, oldest first; a version is called as
            its model.
        look: day of the next look.
        champion: what serves, since the hour after its look.
        anchor: the first champion if left out.
        more: for :func:`deployed`.
    """
    made = deployed(table, trainer, look=look, **more)
    state = made.state
    for version, recipe, day in fitted:
        at = local_instant(day, time(4), ZONE)
        artefact = Artefact(
            version=version,
            model=version,
            recipe=recipe,
            look=at,
            cutoff=made.ground.cut.cutoff(at, state.settle),
        )
        state.artefacts[version] = artefact
        state.fits[recipe] = [*state.fits.get(recipe, []), version]
        state.last_look = at
    state.champion, state.anchor = champion, anchor or fitted[0][0]
    start = state.artefacts[champion].look + made.options.takes
    first = state.artefacts[state.anchor]
    before = Segment(first.look + made.options.takes, ((state.anchor, 100),))
    state.segments = (
        [before] if champion == state.anchor else [before, Segment(start, ((champion, 100),))]
    )
    return made


def lines(step: Step, kind: str) -> list[dict[str, Any]]:
    """The bodies of a step's events of a kind."""
    return [line.body for line in step.lines if line.kind == kind]


def day_mean(made: Deployed, p: np.ndarray, day: int) -> float:
    """Mean log loss of a day's rows with the labels known at its closing, in plain Python."""
    table, zone = made.ground.table, ZONE
    start = local_midnight(made.ground.cut.days[day], zone)
    end = made.ground.day_start(day + 1)
    total, rows = 0.0, 0
    for row in range(*np.searchsorted(table.asked, [start, end])):
        if table.answered[row] <= end + made.state.settle:
            q = p[row] if table.y[row] == 1 else 1 - p[row]
            total, rows = total - float(np.log(q)), rows + 1
    return total / rows


def copy_of(made: Deployed) -> State:
    """The state as it would be read again."""
    return msgspec.json.decode(made.state.dumps(), type=State)
