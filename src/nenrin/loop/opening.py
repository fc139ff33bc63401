"""From a prepared deployment to one that the loop can turn: ground, scorer, state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nenrin.loop.declare import DeploymentSpec
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.ground import Ground
from nenrin.loop.ports import Prepared
from nenrin.loop.scores import Scores
from nenrin.loop.served import Counter, Split
from nenrin.loop.state import State
from nenrin.serving.router import Route, Router, Variant, key_hashes
from nenrin.stats.settle import settle_age


def open_deployed(
    prepared: Prepared,
    look: int,
    options: Options,
    state: State | None = None,
    beside: Deployed | None = None,
) -> Deployed:
    """A deployment on its ground.

    Args:
        prepared: data, rows and trainer.
        look: the first look, where there is no state yet.
        options: how the loop is run.
        state: what it remembers; None begins anew.
        beside: another on the same row table, whose ground and predictions are shared.
    """
    task = prepared.task
    ground = beside.ground if beside else Ground(prepared.table, task.row_loss)
    hashes = beside.counter.hashes if beside else key_hashes(prepared.table.keys)
    scores = beside.scores if beside else Scores(ground, prepared.trainer, hashes)
    return Deployed(
        declared=prepared.declared,
        task=task.kind,
        row_loss=task.loss,
        ground=ground,
        scores=scores,
        trainer=prepared.trainer,
        counter=Counter(ground, scores, hashes, splitter(prepared.declared)),
        metrics=_metrics(task.kind, task.metric),
        policy=prepared.policy,
        checks=prepared.checks,
        options=options,
        state=state or _fresh(prepared, ground, look),
        trains=prepared.trains,
    )


def splitter(declared: DeploymentSpec) -> Split:
    """How requests are dealt to the variants of a route: the router's own way."""

    def split(hashes: np.ndarray, variants: Sequence[tuple[str, int]]) -> np.ndarray:
        listed = tuple(Variant(version=version, weight=weight) for version, weight in variants)
        return Router(Route(deployment=declared.name, variants=listed)).split(hashes)

    return split


def _metrics(kind: str, metric: str) -> tuple[str, ...]:
    usual = ("log_loss", "roc_auc") if kind == "binary" else ("rmse", "mae")
    return tuple(dict.fromkeys((*usual, metric)))


def _fresh(prepared: Prepared, ground: Ground, look: int) -> State:
    """The state before the first look: everything closed until then is closed."""
    settle = prepared.declared.settle
    if settle is None:
        table = prepared.table
        known = (table.asked < look) & (table.answered <= look)
        settle = settle_age(table.answered[known] - table.asked[known])
    return State(
        settle=settle,
        next_block=ground.cut.closed_blocks(look, settle),
        next_day=ground.cut.closed_days(look, settle),
        next_look=look,
        code=prepared.project,
        table=prepared.table_digest,
    )
