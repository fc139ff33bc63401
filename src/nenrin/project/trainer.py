"""Fits and scores for the loop: jobs for workers, remembered by step key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from typing import Any, TypeVar

import msgspec
import numpy as np

from nenrin.core.digest import digest
from nenrin.core.errors import NenrinError
from nenrin.core.instants import iso
from nenrin.core.store import ContentStore
from nenrin.loop.ports import Fitted, Order
from nenrin.pipelines.engine import Engine
from nenrin.pipelines.executor import Executor
from nenrin.project.trials import RememberedTrials
from nenrin.registry.version import version_id
from nenrin.training.artefact import describe
from nenrin.training.declare import Model
from nenrin.training.fit import FitJob, FitResult, ScoreJob, fit, score
from nenrin.training.table import RowTable, Selection
from nenrin.training.tasks import Task
from nenrin.training.tune import tune

T = TypeVar("T")


class Costs(msgspec.Struct, kw_only=True):
    """What user code cost so far, CPU seconds, and how often it ran."""

    fit: float = 0.0
    predict: float = 0.0
    fits: int = 0
    reused: int = 0
    trials: int = 0


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a fit's output names: the model, and what is told of it."""

    model: str
    rows: int
    container: str


class GraphTrainer:
    """The loop's ``Trainer`` over one revision, one row table and one executor.

    Args:
        model: the declared model.
        code: digest of the revision: sources, packages, Python.
        folder: the unpacked revision, from which workers import the project.
        shown: the project's own folder, which errors name.
        table: digest of the row table.
        task: what the model is asked to do.
        data: digests of every dataset's rows as they were known at an instant.
        executor, engine, store: where work runs, and where results are remembered and kept.
    """

    def __init__(
        self,
        *,
        model: Model,
        code: str,
        folder: str,
        shown: str,
        table: str,
        task: Task,
        data: Callable[[int], dict[str, str]],
        executor: Executor,
        engine: Engine,
        store: ContentStore,
    ) -> None:
        self.costs = Costs()
        self._declared = model
        self._model = model.declared.name
        self._code = code
        self._folder = folder
        self._shown = shown
        self._table = table
        self._task = task
        self._data = data
        self._executor = executor
        self._engine = engine
        self._store = store
        self._columns: set[tuple[str, str]] | None = None

    def on_table(self, table: str) -> GraphTrainer:
        """The same trainer over another row table, counting costs together."""
        other = copy(self)
        vars(other).update(_table=table, _columns=None)
        return other

    def tune(self, at: int, train_end: int | None, judge_end: int) -> dict[str, Any]:
        """The best of 20 trials, remembered by their key."""
        if not self._declared.declared.tune:
            return {}
        parts = {
            **self._parts(at),
            "spaces": msgspec.to_builtins(self._declared.declared.tune),
            "window": [train_end, judge_end],
        }
        known = self._engine.remembered("tune", parts)
        if known is not None and self._store.has(known.output):
            found: dict[str, Any] = msgspec.json.decode(self._store.get(known.output))
            return found
        trials = RememberedTrials(self._engine, self._store, parts)
        tuned = tune(
            self._executor,
            self._declared,
            self._job(at, Selection(cutoff=judge_end, known_by=at), {}, parts),
            None if train_end is None else judge_end - train_end,
            memory=trials,
        )
        self.costs.fit += sum(trial.fit_cpu for trial in trials.made)
        self.costs.predict += sum(trial.predict_cpu for trial in trials.made)
        self.costs.trials += len(trials.made)
        output = self._store.put(msgspec.json.encode(tuned.params))
        cpu = sum(trial.fit_cpu + trial.platform_cpu for trial in trials.made)
        self._engine.remember("tune", parts, output, cpu)
        return tuned.params

    def fit(self, orders: Sequence[Order]) -> list[Fitted]:
        """Fit every order that is not remembered, as many at a time as there are workers."""
        parts = [self._fit_parts(order) for order in orders]
        waiting = [self._begin(order, part) for order, part in zip(orders, parts, strict=True)]
        return [
            self._fitted(order, part, begun)
            for order, part, begun in zip(orders, parts, waiting, strict=True)
        ]

    def scorable(self, model: str) -> bool:
        """Whether the row table has every column that ``model`` reads, of the same kind."""
        if self._columns is None:
            self._columns = {
                (c.name, c.kind) for c in RowTable.open(self._store.file(self._table)).columns
            }
        read = describe(self._store.get(model)).columns
        return {(column.name, column.kind) for column in read} <= self._columns

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Predictions for the rows of each span."""
        futures = [
            self._executor.submit(
                score,
                ScoreJob(model=model, table=self._table, lo=lo, hi=hi, project=self._folder),
            )
            for lo, hi in spans
        ]
        answers = [self._result(future) for future in futures]
        self.costs.predict += sum(answer.predict_cpu for answer in answers)
        return [answer.p for answer in answers]

    def _begin(self, order: Order, parts: dict[str, Any]) -> Future[FitResult] | _Made:
        known = self._engine.remembered("fit", parts)
        if known is not None and self._store.has(known.output):
            self.costs.reused += 1
            return msgspec.json.decode(self._store.get(known.output), type=_Made)
        since = None if order.recipe.since is None else order.cutoff - order.recipe.since
        selection = Selection(
            cutoff=order.cutoff,
            known_by=order.at,
            since=since,
            half_life=order.recipe.half_life,
            without_folds=order.without_folds,
        )
        return self._executor.submit(fit, self._job(order.at, selection, order.params, parts))

    def _fitted(
        self, order: Order, parts: dict[str, Any], begun: Future[FitResult] | _Made
    ) -> Fitted:
        made = begun if isinstance(begun, _Made) else self._remember(parts, self._result(begun))
        parents = (
            f"recipe:{order.recipe.name}",
            f"look:{iso(order.at)}",
            f"cutoff:{iso(order.cutoff)}",
            *(f"without fold:{fold}" for fold in order.without_folds),
            *(f"data:{name}:{value}" for name, value in sorted(self._data(order.at).items())),
        )
        return Fitted(
            version=version_id(self._model, "model", made.model, parents),
            model=made.model,
            parents=parents,
            facts={
                "recipe": order.recipe.name,
                "rows": made.rows,
                "params": order.params,
                "cutoff": iso(order.cutoff),
                "container": made.container,
                **self._file(),
            },
        )

    def _file(self) -> dict[str, str]:
        imported = self._declared.declared.imported
        return {} if imported is None else {"file": imported.path}

    def _result(self, future: Future[T]) -> T:
        """A job's result; its errors point into the project's own folder, not into the revision's."""
        try:
            return future.result()
        except NenrinError as error:
            error.where = error.where.replace(self._folder, self._shown)
            raise

    def _remember(self, parts: dict[str, Any], result: FitResult) -> _Made:
        self.costs.fits += 1
        self.costs.fit += result.fit_cpu
        self.costs.predict += result.predict_cpu
        made = _Made(model=result.model, rows=result.rows, container=result.container)
        output = self._store.put(msgspec.json.encode(made))
        self._engine.remember("fit", parts, output, result.fit_cpu + result.platform_cpu)
        return made

    def _job(
        self, at: int, selection: Selection, params: dict[str, Any], parts: dict[str, Any]
    ) -> FitJob:
        return FitJob(
            project=self._folder,
            model=self._model,
            table=self._table,
            task=self._task,
            selection=selection,
            params=params,
            seed=_seed(parts),
        )

    def _parts(self, at: int) -> dict[str, Any]:
        """What decides every fit at ``at``: code, model, task, and the data known by then."""
        return {
            "code": self._code,
            "model": self._model,
            "task": msgspec.to_builtins(self._task),
            "data": self._data(at),
        }

    def _fit_parts(self, order: Order) -> dict[str, Any]:
        return {
            **self._parts(order.at),
            "recipe": [order.recipe.since, order.recipe.half_life],
            "params": order.params,
            "cutoff": order.cutoff,
            "known_by": order.at,
            "without_folds": list(order.without_folds),
        }


def _seed(parts: dict[str, Any]) -> int:
    """A seed from the step key without the code: a changed comment does not change a random draw."""
    return int(digest({name: part for name, part in parts.items() if name != "code"})[:8], 16)
