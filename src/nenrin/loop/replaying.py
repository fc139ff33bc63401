"""Runs a backtest in an environment of its own, and keeps its report and its predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.instants import iso, local_date, spell
from nenrin.core.timer import Timer
from nenrin.core.unit import Units
from nenrin.loop.asked import Asked, fault_of
from nenrin.loop.backtest import Backtest, Played, PolicyAnswers
from nenrin.loop.comparators import Other, comparators
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.faults import Injection, must_lie
from nenrin.loop.harm import bad_week
from nenrin.loop.journal import LoopJournal
from nenrin.loop.limits import limits
from nenrin.loop.matrix import matrix
from nenrin.loop.noticed import costs, sentences, signs
from nenrin.loop.opening import open_deployed
from nenrin.loop.policies import name_of
from nenrin.loop.ports import Prepared, Progress
from nenrin.loop.report import (
    Scored,
    differences,
    history_of,
    labels_came,
    shares_of,
    tables,
)
from nenrin.loop.rivals import Rival
from nenrin.loop.window import Window, window
from nenrin.serving.log import SCHEMA, PredictionLog

ADOPT = ("nenrin adopt {id} --into dev", "nenrin up")
EXPORT = ("nenrin backtest export {id} --to predictions.parquet",)


class Replayer:
    """Plays one prepared deployment through history.

    Args:
        environment: the backtest's own environment.
        prepared: data, rows and trainer.
        asked: window, faults, what to leave out.
        units: where events go.
        journal: writes the loop's steps there.
        log: keeps predictions.
        timer: measures.
        worker_cpu: CPU seconds of all workers so far.
        rivals: other deployments of the same model, by the text that asked for them.
        undisturbed: the report of the same question without faults; empty: not known.
    """

    def __init__(
        self,
        environment: str,
        prepared: Prepared,
        asked: Asked,
        *,
        units: Units,
        journal: LoopJournal,
        log: PredictionLog,
        timer: Timer,
        worker_cpu: Callable[[], float],
        rivals: Mapping[str, Prepared],
        undisturbed: Mapping[str, Any],
    ) -> None:
        self._environment = environment
        self._prepared = prepared
        self._asked = asked
        self._units = units
        self._journal = journal
        self._log = log
        self._timer = timer
        self._worker_cpu = worker_cpu
        self._rivals = rivals
        self._undisturbed = undisturbed

    def play(self, started: tuple[float, float], progress: Progress | None) -> dict[str, Any]:
        """Replay and report; ``started`` is (CPU, wall) when the work began, of the whole process tree."""
        prepared = self._prepared
        table, declared = prepared.table, prepared.declared
        chosen = window(
            first=int(table.asked[0]),
            last=int(table.asked[-1]),
            zone=table.zone,
            clock=declared.refresh.clock,
            from_=self._asked.from_,
            until=self._asked.until,
        )
        faults = [fault_of(text) for text in self._asked.inject]
        for fault in faults:
            dates = (local_date(at, table.zone) for at in (chosen.look, chosen.until))
            must_lie(fault.text, fault.day, *dates)
        options = Options(
            watching="watch" not in self._asked.without,
            recalibrating="recalibration" not in self._asked.without,
            injections=tuple(each for each in faults if isinstance(each, Injection)),
        )
        deployed = open_deployed(prepared, chosen.look, options)
        self._open(chosen, deployed)
        calendar = SimulatedCalendar(chosen.look)
        others = self._others(chosen, deployed)
        backtest = Backtest(deployed, self._journal, chosen.until, others)
        played = backtest.play(calendar.move, progress)
        prepared.trainer.keep()
        if progress:
            progress("report", 0, 1, "")
        scored = Scored(deployed.ground, played, prepared.task.loss)
        report = self._report(chosen, deployed, played, scored)
        report["predictions"] = self._keep(deployed, played)
        self._close(calendar.now(), report)
        sequence, head = self._units.head(self._environment)
        report |= {"ledger_head": head, "ledger_events": sequence}
        policies = {answers.name: answers.cpu for answers in played.answers}
        report["cost"] = {**self._cost(started), "policies": policies}  # measured: in no event
        return report

    def _others(self, chosen: Window, deployed: Deployed) -> list[Other]:
        """What the loop is measured against, in the order in which it was asked for."""
        texts = self._asked.policies
        found: dict[str, Other] = {
            each.name: each for each in comparators(deployed, chosen.until, texts)
        }
        for text, prepared in self._rivals.items():
            beside = open_deployed(prepared, chosen.look, deployed.options, beside=deployed)
            found[name_of(text)] = Rival(name_of(text), text, beside, chosen.until)
        return [found[name_of(text)] for text in texts] if texts else list(found.values())

    def _open(self, chosen: Window, deployed: Deployed) -> None:
        """The opening event: everything that the replay depends on."""
        prepared = self._prepared
        with self._units.write(self._environment, chosen.look) as unit:
            unit.record(
                "backtest.opened",
                prepared.declared.name,
                {
                    "project": prepared.project,
                    "data": prepared.data,
                    "from": iso(chosen.look),
                    "until": iso(chosen.until),
                    "settle": deployed.state.settle,
                    "takes": deployed.options.takes,
                    "inject": list(self._asked.inject),
                    "without": list(self._asked.without),
                    "policies": list(self._asked.policies),
                    "rivals": [_declared(prepared) for prepared in self._rivals.values()],
                    "deployment": _declared(prepared),
                },
            )

    def _close(self, at: int, report: dict[str, Any]) -> None:
        with self._units.write(self._environment, at) as unit:
            body = {
                "total": report["total"],
                "counts": report["counts"],
                "predictions": {
                    name: kept["digest"] for name, kept in report["predictions"].items()
                },
            }
            unit.record("backtest.closed", self._prepared.declared.name, body)

    def _report(
        self, chosen: Window, deployed: Deployed, played: Played, scored: Scored
    ) -> dict[str, Any]:
        prepared = self._prepared
        task = prepared.task
        events, counts = history_of(played)
        gaps = differences(scored)
        table = prepared.table
        name = self._environment.split("/", 1)[1]
        state = deployed.state
        end = deployed.ground.day_closing(deployed.ground.days - 1, state.settle)
        measured = tables(scored, task.kind, prepared.declared.value)
        dated = [(text, fault_of(text).day) for text in self._asked.inject]
        usual = self._undisturbed
        found = signs(played, dated, table.zone, usual.get("events", ()))
        cost = costs(measured["total"], usual.get("total", {}), measured["columns"][0])
        staged = self._asked.inject or self._asked.without
        return {
            "id": name,
            "project": {
                "deployment": prepared.declared.name,
                "model": prepared.served.model,
                "task": task.kind,
                "metric": task.metric,
                "rows_dataset": prepared.rows,
                "zone": table.zone,
                "baseline": "prior",
            },
            "window": {
                "train_from": iso(int(table.asked[0])),
                "from": iso(chosen.look),
                "until": iso(chosen.until),
                "days": len(scored.days),
            },
            "settle_age": spell(state.settle),
            "inject": list(self._asked.inject),
            "without": list(self._asked.without),
            "matrix": matrix(deployed, scored) if self._asked.matrix else {},
            "faults": {"signs": found, "cost": cost} if dated else {},
            **measured,
            "differences": gaps,
            "events": events,
            "counts": counts,
            "shares": shares_of(played),
            "labels": labels_came(deployed.ground, scored, state.settle, end),
            "bad_week": bad_week(deployed, played, scored),
            "sentences": [
                *(gap["sentence"] for gap in gaps),
                *sentences(found, cost),
                *limits(prepared.declared, table, state.settle),
            ],
            "next": [line.format(id=name) for line in (*(() if staged else ADOPT), *EXPORT)],
        }

    def _keep(self, deployed: Deployed, played: Played) -> dict[str, Any]:
        """Keep every policy's predictions as one file each, by content."""
        table = deployed.ground.table
        keys = table.keys[played.lo : played.hi]
        asked = table.asked[played.lo : played.hi]
        kept = {}
        for answers in played.answers:
            logged = self._log.write_day(_frame(answers, keys, asked))
            kept[answers.name] = {"content": logged.content, "digest": logged.digest}
        return kept

    def _cost(self, started: tuple[float, float]) -> dict[str, Any]:
        costs = self._prepared.costs()
        cpu = self._timer.cpu() + self._worker_cpu() - started[0]
        return {
            "cpu": {
                "fit": costs["fit"],
                "predict": costs["predict"],
                "platform": cpu - costs["fit"] - costs["predict"],
                "total": cpu,
            },
            "wall": {"total": self._timer.wall() - started[1]},
            "fits": int(costs["fits"]),
            "fits_reused": int(costs["reused"]),
            "trials": int(costs["trials"]),
        }


def _declared(prepared: Prepared) -> dict[str, Any]:
    """A deployment as it was declared, wherever that was."""
    plain: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(prepared.declared, where="")
    )
    return plain


def _frame(answers: PolicyAnswers, keys: pl.Series, asked: np.ndarray) -> pl.DataFrame:
    versions = np.array([version for version, _ in answers.versions], dtype=object)
    cutoffs = np.array([cutoff for _, cutoff in answers.versions], dtype=np.int64)
    return pl.DataFrame(
        {
            "key": keys,
            "asked": asked,
            "policy": pl.repeat(answers.name, len(keys), eager=True),
            "version": pl.Series(versions[answers.version].tolist(), dtype=pl.String),
            "variant": np.zeros(len(keys), dtype=np.int8),
            "cutoff": cutoffs[answers.version],
            "p": answers.p,
        }
    ).select(SCHEMA.names())
