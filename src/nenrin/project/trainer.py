"""Fits and scores for the loop: jobs for workers, remembered by step key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import numpy as np

from nenrin.core.digest import derived_id, digest
from nenrin.core.errors import IntegrityError, NenrinError, ProjectError
from nenrin.core.instants import iso
from nenrin.core.jobs import Job
from nenrin.core.store import ContentStore, whole
from nenrin.core.unit import Unit
from nenrin.loop.ports import Fitted, Order, Progress
from nenrin.pipelines.dispatcher import Commit, Dispatcher, Watching
from nenrin.pipelines.engine import GONE, Engine
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.ports import StepResult
from nenrin.project.answers import RememberedAnswers
from nenrin.project.trials import RememberedTrials
from nenrin.registry.version import version_id
from nenrin.training.artefact import describe
from nenrin.training.columns import vocabularies
from nenrin.training.declare import Model
from nenrin.training.fit import FitJob, FitResult, ScoreJob, score
from nenrin.training.jobs import FIT
from nenrin.training.table import RowTable, Selection
from nenrin.training.tasks import Task
from nenrin.training.tune import TRIALS, tune

T = TypeVar("T")


class Costs(msgspec.Struct, kw_only=True):
    """What user code cost so far, CPU seconds, and how often it ran."""

    fit: float = 0.0
    predict: float = 0.0
    fits: int = 0
    reused: int = 0
    trials: int = 0


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a fit's output names: the model, what is told of it, and the revision that made it."""

    model: str
    rows: int
    container: str
    revision: str = ""


class _Rows:
    """A row table as fits see it; looked at when first asked."""

    def __init__(self, store: ContentStore, table: str) -> None:
        self._store = store
        self._table = table
        self._before: dict[tuple[int, int], str] = {}
        self._within: dict[tuple[int, int], str] = {}

    @cached_property
    def columns(self) -> set[tuple[str, str]]:
        """Name and kind of every column."""
        return {(column.name, column.kind) for column in self._opened.columns}

    def before(self, cutoff: int, at: int) -> str:
        """Digest of what a fit at ``at`` sees."""
        if (cutoff, at) not in self._before:
            self._before[cutoff, at] = self._opened.digest_before(cutoff, at)
        return self._before[cutoff, at]

    def within(self, lo: int, hi: int) -> str:
        """Digest of what a model sees of the rows ``lo:hi``."""
        if (lo, hi) not in self._within:
            self._within[lo, hi] = self._opened.digest_within(lo, hi)
        return self._within[lo, hi]

    @cached_property
    def _opened(self) -> RowTable:
        return RowTable.open(self._store.file(self._table))


class GraphTrainer:
    """The loop's ``Trainer`` over one revision, one row table and one executor.

    Args:
        model: the declared model.
        code: digest of what decides what the model's function does.
        revision: digest of the revision: sources, packages, Python.
        folder: the unpacked revision, from which workers import the project.
        shown: the project's own folder, which errors name.
        table: digest of the row table.
        task: what the model is asked to do.
        data: digests of every dataset's rows as they were known at an instant.
        run: what asks for the fits.
        dispatcher: makes what runs the jobs of fits and trials.
        executor, engine, store: where scores run, and where results are remembered and kept.
        refuses: where it is declared that texts which a model was not trained on are refused; else empty.
        progress: told of fits that run.
    """

    def __init__(
        self,
        *,
        model: Model,
        code: str,
        revision: str,
        folder: str,
        shown: str,
        table: str,
        task: Task,
        data: Callable[[int], dict[str, str]],
        run: str,
        dispatcher: Callable[[], Dispatcher],
        executor: Executor,
        engine: Engine,
        store: ContentStore,
        refuses: str = "",
        progress: Progress | None = None,
    ) -> None:
        self.costs = Costs()
        self._declared = model
        self._model = model.declared.name
        self._code = code
        self._revision = revision
        self._folder = folder
        self._shown = shown
        self._table = table
        self._task = task
        self._data = data
        self._run = run
        self._dispatcher = dispatcher
        self._executor = executor
        self._refuses = refuses
        self._progress = progress
        self._told = (0, TRIALS)  # of a tuning: how many trials are over, of how many
        self._engine = engine
        self._store = store
        self._rows = _Rows(store, table)
        self._answers = RememberedAnswers(engine, store, code, revision)

    def on_table(self, table: str) -> GraphTrainer:
        """The same trainer over another row table, counting costs together."""
        other = copy(self)
        vars(other).update(_table=table, _rows=_Rows(self._store, table))
        return other

    def tune(self, at: int, train_end: int | None, judge_end: int) -> dict[str, Any]:
        """The best of 20 trials, remembered by their key."""
        if not self._declared.declared.tune:
            return {}
        parts = {
            **self._parts(at, judge_end),
            "spaces": msgspec.to_builtins(self._declared.declared.tune),
            "window": [train_end, judge_end],
        }
        known = self._engine.remembered("tune", parts)
        if known is not None and whole(self._store, known.output):
            found: dict[str, Any] = msgspec.json.decode(self._store.get(known.output))
            return found
        why = GONE if known is not None else self._engine.changed("tune", parts)
        trials = RememberedTrials(self._engine, self._store, parts, self._tried, self._job)
        tuned = tune(
            trials,
            self._declared,
            self._fit_job(at, Selection(cutoff=judge_end, known_by=at), {}, parts),
            None if train_end is None else judge_end - train_end,
            progress=self._tuning,
        )
        made = trials.made_now
        self.costs.fit += sum(trial.fit_cpu for trial in made)
        self.costs.predict += sum(trial.predict_cpu for trial in made)
        self.costs.trials += len(made)
        output = self._store.put(msgspec.json.encode(tuned.params))
        cpu = sum(trial.fit_cpu + trial.platform_cpu for trial in made)
        self._engine.remember("tune", parts, output, cpu, why=why)
        return tuned.params

    def fit(self, orders: Sequence[Order]) -> list[Fitted]:
        """Fit every order that is not remembered, as many at a time as there are workers."""
        parts = [self._fit_parts(order) for order in orders]
        known = [self._recalled(part) for part in parts]
        wanted = [
            self._wanted(order, part)
            for order, part, found in zip(orders, parts, known, strict=True)
            if found is None
        ]
        if wanted:
            self._trained(wanted)
        self.costs.reused += len(orders) - len(wanted)
        fitted = []
        for order, found, part in zip(orders, known, parts, strict=True):
            made = found or self._recalled(part)
            if made is None:
                raise IntegrityError(
                    f"the fit of {order.recipe.name} was made, and cannot be read",
                    hint="look at the disk: nenrin doctor; then run again",
                )
            fitted.append(self._fitted(order, made))
        return fitted

    def scorable(self, model: str) -> bool:
        """Whether the row table has every column that ``model`` reads, of the same kind."""
        read = describe(self._store.get(model)).columns
        return {(column.name, column.kind) for column in read} <= self._rows.columns

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Predictions for the rows of each span; asked of the model where they are not remembered."""
        rows = [self._rows.within(lo, hi) for lo, hi in spans]
        jobs = {
            seen: ScoreJob(model=model, table=self._table, lo=lo, hi=hi, project=self._folder)
            for seen, (lo, hi) in zip(rows, spans, strict=True)
            if not self._answers.has(model, seen)
        }
        futures = {seen: self._executor.submit(score, job) for seen, job in jobs.items()}
        for seen, future in futures.items():
            answer = self._shown_where(future.result)
            self.costs.predict += answer.predict_cpu
            self._answers.add(model, seen, answer.p, answer.predict_cpu)
        return [self._answers.get(model, seen) for seen in rows]

    def keep(self) -> None:
        """Remember what was scored."""
        self._answers.keep()

    def _recalled(self, parts: dict[str, Any]) -> StepResult | None:
        known = self._engine.remembered("fit", parts)
        if known is None or not whole(self._store, known.output):
            return None
        made = msgspec.json.decode(self._store.get(known.output), type=_Made)
        if not whole(self._store, made.model):
            return None
        # a pickle may hold classes of the project, which stand in the folder of the revision that made it
        pickled = describe(self._store.get(made.model)).format == "pickle"
        return None if pickled and made.revision != self._revision else known

    def _wanted(self, order: Order, parts: dict[str, Any]) -> tuple[Job, Commit]:
        """The job of a fit, and what is kept when it is done."""
        since = None if order.recipe.since is None else order.cutoff - order.recipe.since
        selection = Selection(
            cutoff=order.cutoff,
            known_by=order.at,
            since=since,
            half_life=order.recipe.half_life,
            without_folds=order.without_folds,
        )

        name = f"train:{order.recipe.name}"
        known = self._engine.remembered("fit", parts)
        why = GONE if known is not None else self._engine.changed(name, parts)

        def commit(unit: Unit, result: FitResult) -> str:
            made = _Made(
                model=result.model,
                rows=result.rows,
                container=result.container,
                revision=self._revision,
            )
            output = self._store.put(msgspec.json.encode(made))
            cpu = result.fit_cpu + result.platform_cpu
            self._engine.remember_in(unit, "fit", parts, output, cpu, why=why, called=name)
            self.costs.fits += 1
            self.costs.fit += result.fit_cpu
            self.costs.predict += result.predict_cpu
            return output

        payload = msgspec.to_builtins(self._fit_job(order.at, selection, order.params, parts))
        return self._job(name, FIT, payload, parts), commit

    def _trained(self, wanted: Sequence[tuple[Job, Commit]]) -> None:
        """Run fits to their end."""
        name = wanted[0][0].name
        self._whole(wanted, lambda done, newest: self._say(name, done, len(wanted), newest))

    def _tried(self, wanted: Sequence[tuple[Job, Commit]]) -> list[str]:
        """Run trials to their end."""
        return self._whole(wanted, lambda _, newest: self._say("tune", *self._told, newest))

    def _tuning(self, stage: str, done: int, total: int, note: str) -> None:
        self._told = (done, total)
        self._say(stage, done, total, note)

    def _whole(self, wanted: Sequence[tuple[Job, Commit]], watching: Watching) -> list[str]:
        dispatcher = self._dispatcher()
        return self._shown_where(lambda: dispatcher.whole(wanted, watching))

    def _say(self, stage: str, done: int, total: int, note: str) -> None:
        if self._progress is not None:
            self._progress(stage, done, total, note)

    def _job(self, name: str, call: str, payload: Any, parts: dict[str, Any]) -> Job:
        """A job under an id of its work: after a crash the same work is the same job."""
        return Job(
            id=derived_id("job", self._run, name, parts, payload),
            run=self._run,
            name=name,
            call=call,
            payload=payload,
            project=self._folder,
            needs=self._declared.declared.needs,
            seed=_seed(parts),
        )

    def _fitted(self, order: Order, found: StepResult) -> Fitted:
        made = msgspec.json.decode(self._store.get(found.output), type=_Made)
        if self._refuses:
            _check_texts(self._model, self._store.get(made.model), self._refuses)
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
                **_file(self._declared),
            },
            cpu=found.cpu,
        )

    def _shown_where(self, give: Callable[[], T]) -> T:
        """What ``give`` gives; its errors point into the project's own folder, not into the revision's."""
        try:
            return give()
        except NenrinError as error:
            error.where = error.where.replace(self._folder, self._shown)
            raise

    def _fit_job(
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

    def _parts(self, at: int, cutoff: int) -> dict[str, Any]:
        """What decides every fit at ``at``: code, model, task, the data known by then, the rows it sees.

        Rows are told by their bytes, so that code that makes the same rows fits the same model.
        """
        return {
            "code": self._code,
            "model": self._model,
            "task": msgspec.to_builtins(self._task),
            "data": self._data(at),
            "rows": self._rows.before(cutoff, at),
        }

    def _fit_parts(self, order: Order) -> dict[str, Any]:
        return {
            **self._parts(order.at, order.cutoff),
            "recipe": [order.recipe.since, order.recipe.half_life],
            "params": order.params,
            "cutoff": order.cutoff,
            "known_by": order.at,
            "without_folds": list(order.without_folds),
        }


def _check_texts(name: str, model: bytes, where: str) -> None:
    """See that a model says what it was trained on: nobody could refuse other texts for it."""
    known = vocabularies(describe(model).columns)
    untold = [column for column, texts in known.items() if texts is None]
    if untold:
        raise ProjectError(
            f'unseen="refuse" cannot be kept: nothing tells which texts of {", ".join(untold)} '
            f"{name} was trained on",
            hint="leave unseen= out: such a model gets every text, and decides itself, as scikit-learn's "
            'OneHotEncoder(handle_unknown="error") does',
            where=where,
        )


def _file(model: Model) -> dict[str, str]:
    imported = model.declared.imported
    return {} if imported is None else {"file": imported.path}


def _seed(parts: dict[str, Any]) -> int:
    """A seed from the step key without code and rows: a changed line does not change a random draw."""
    drawn = {name: part for name, part in parts.items() if name not in ("code", "rows")}
    return int(digest(drawn)[:8], 16)
