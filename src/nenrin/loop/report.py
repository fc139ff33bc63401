"""The report of a backtest: what the loop would have done, gained and cost, beside the other policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nenrin.core.figures import figure
from nenrin.core.instants import NEVER, iso
from nenrin.loop.backtest import Played, PolicyAnswers
from nenrin.loop.ground import Ground
from nenrin.loop.worth import Value
from nenrin.stats.calibration import reliability
from nenrin.stats.intervals import moving_blocks
from nenrin.stats.metrics import METRICS, ROW_LOSSES

COLUMNS = {"binary": ("log_loss", "roc_auc", "bias"), "regression": ("rmse", "mae", "bias")}
HINDSIGHT = "hindsight"


class Scored:
    """The window's labelled rows and every policy's predictions for them.

    Attributes:
        y: labels as they are known at the end, float64 (rows,), NaN where there is none.
        day: number of each row's day.
        month: index of each row's month in ``months``.
        policies: answers by policy name, the best in hindsight included.
    """

    def __init__(self, ground: Ground, played: Played, row_loss: str) -> None:
        self.lo, self.hi = played.lo, played.hi
        self.y = ground.labels(played.lo, played.hi, NEVER - 1)
        self.known = np.isfinite(self.y)
        self.day = ground.days_of(played.lo, played.hi)
        self.days = np.unique(self.day)
        self.day_names = [ground.day_name(int(day)) for day in self.days]
        self.months = sorted({name[:7] for name in self.day_names})
        month_of_day = np.array([self.months.index(name[:7]) for name in self.day_names])
        self.month = month_of_day[np.searchsorted(self.days, self.day)]
        self.row_loss = ROW_LOSSES[row_loss]
        self.policies = {answers.name: answers for answers in played.answers}

    def p(self, name: str) -> np.ndarray:
        """Predictions of a policy."""
        if name == HINDSIGHT:
            return self._hindsight()
        return self.policies[name].p

    def losses(self, name: str) -> np.ndarray:
        """Row losses of a policy over the labelled rows."""
        return self.row_loss(self.y[self.known], self.p(name)[self.known])

    def _hindsight(self) -> np.ndarray:
        """Month by month the answers of the comparator that did best in it."""
        dumb = [name for name in self.policies if name != "loop"]
        out = np.full(len(self.y), np.nan)
        for index in range(len(self.months)):
            rows = self.month == index
            labelled = rows & self.known
            best = min(dumb, key=lambda n: self._mean(n, labelled))
            out[rows] = self.policies[best].p[rows]
        return out

    def _mean(self, name: str, rows: np.ndarray) -> float:
        return float(np.mean(self.row_loss(self.y[rows], self.policies[name].p[rows])))


def scores(task: str, y: np.ndarray, p: np.ndarray, value: Value | None = None) -> dict[str, float]:
    """The report's columns for some labelled rows; ``value`` is the mean worth of an answer."""
    worth = {"value": float(np.mean(value.of(y, p)))} if value else {}
    out = {name: METRICS[name](y, p) for name in COLUMNS[task] if name != "bias"}
    return {**out, "bias": float(np.mean(y - p)), **worth}


def tables(scored: Scored, task: str, value: Value | None = None) -> dict[str, Any]:
    """The parts ``policies``, ``columns``, ``total``, ``months``, ``days`` and ``reliability``."""
    names = [*scored.policies, HINDSIGHT]
    titles = {n: a.title for n, a in scored.policies.items()} | {HINDSIGHT: "best in hindsight"}
    known = scored.known
    p = {name: scored.p(name) for name in names}
    total = {
        name: {
            "rows": int(np.count_nonzero(known)),
            **scores(task, scored.y[known], p[name][known], value),
            "fits": _fits(scored.policies.get(name)),
        }
        for name in names
    }
    months = []
    for index, month in enumerate(scored.months):
        rows = known & (scored.month == index)
        if rows.any():
            line: dict[str, Any] = {"month": month, "rows": int(np.count_nonzero(rows))}
            line["base_rate"] = float(np.mean(scored.y[rows]))
            line |= {name: scores(task, scored.y[rows], p[name][rows], value) for name in names}
            months.append(line)
    days: dict[str, Any] = {"day": scored.day_names, "rows": _by_day(scored, None)}
    days |= {name: _by_day(scored, scored.losses(name)) for name in names}
    return {
        "policies": [
            {"name": name, "title": titles[name], "color_index": index}
            for index, name in enumerate(names)
        ],
        "columns": [*COLUMNS[task], *(["value"] if value else [])],
        "total": total,
        "months": months,
        "days": days,
        "reliability": _reliability(scored, p) if task == "binary" else {},
    }


def differences(scored: Scored) -> list[dict[str, Any]]:
    """The loop against every other policy: mean difference a row, with an interval from day blocks."""
    mine = scored.losses("loop")
    day = scored.day[scored.known]
    found = []
    for name in [*[n for n in scored.policies if n != "loop"], HINDSIGHT]:
        gap = mine - scored.losses(name)
        sums = np.array([float(np.sum(gap[day == d])) for d in scored.days])
        rows = np.array([int(np.count_nonzero(day == d)) for d in scored.days])
        interval = moving_blocks(sums, rows, seed=0)
        title = scored.policies[name].title if name in scored.policies else "best in hindsight"
        mean, pays = float(np.mean(gap)), interval.high < 0
        verb = "pays" if pays else "does not pay"
        sentence = (
            f"The loop {verb} against {title}: {figure(mean, plus=True)} a row, "
            f"95 % interval [{figure(interval.low, plus=True)}, {figure(interval.high, plus=True)}]."
        )
        found.append(
            {
                "against": name,
                "title": title,
                "mean": mean,
                "low": interval.low,
                "high": interval.high,
                "pays": bool(pays),
                "sentence": sentence,
            }
        )
    return found


def labels_came(ground: Ground, scored: Scored, settle: int, end: int) -> dict[str, int]:
    """How the labels of the window came: in time, after their day closed, not by the end, never."""
    answered = ground.table.answered[scored.lo : scored.hi]
    closes = np.array([ground.day_closing(int(d), settle) for d in scored.days])
    closing = closes[np.searchsorted(scored.days, scored.day)]
    never = answered == NEVER
    waiting = never & (closing > end)
    return {
        "closed": int(np.count_nonzero(answered <= closing)),
        "late": int(np.count_nonzero((answered > closing) & ~never)),
        "never": int(np.count_nonzero(never & ~waiting)),
        "open": int(np.count_nonzero(waiting)),
    }


def history_of(played: Played) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What the loop did, as lines for people, and how often."""
    lines: list[dict[str, Any]] = []
    counts = dict.fromkeys(
        ("looks", "trainings", "promotions", "refusals", "rollbacks", "alarms"), 0
    )
    serving: tuple[tuple[str, int], ...] = ()
    for step in played.steps:
        counts["trainings"] += len(step.fits)
        counts["looks"] += sum(event.kind == "look.taken" for event in step.lines)
        for verdict in step.verdicts:
            counts["refusals"] += not verdict.admitted
            if not verdict.admitted:
                lines.append(_line(step.at, "refusal", verdict.reason, verdict.judged))
        before, serving = serving, step.route.variants if step.route else serving
        if serving != before and "watch found" not in step.why:
            version, weight = serving[-1]
            if weight == 100:
                counts["promotions"] += 1
                lines.append(_line(step.at, "promotion", step.why, version))
            else:
                lines.append(_line(step.at, "canary", f"{weight} % of the requests", version))
        for event in step.lines:
            if event.kind in _TOLD:
                word, tell = _TOLD[event.kind]
                counts["rollbacks"] += word == "rollback"
                counts["alarms"] += word == "alarm"
                lines.append(_line(step.at, word, tell(event.body), event.subject))
    return lines, counts


def shares_of(played: Played) -> dict[str, Any]:
    """What part of an answer each slot of the mixture had from each day's closing on; empty without one.

    Returns:
        ``day`` and ``slots``: slot to its shares; ``recalibrated``: whether answers went through one then.
    """
    closed = [
        (event.subject, event.body)
        for step in played.steps
        for event in step.lines
        if event.kind == "day.closed" and event.body.get("shares")
    ]
    if not closed:
        return {}
    slots = dict.fromkeys(slot for _, body in closed for slot in body["shares"])
    return {
        "day": [day for day, _ in closed],
        "slots": {slot: [body["shares"].get(slot) for _, body in closed] for slot in slots},
        "recalibrated": [body.get("recalibration") is not None for _, body in closed],
    }


def told(kind: str, body: dict[str, Any]) -> str:
    """An event's body for people."""
    return _TOLD[kind][1](body)


def _failed(body: dict[str, Any]) -> str:
    return "; ".join(str(check["text"]) for check in body["checks"])


_TOLD: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "rollout.rolled_back": (
        "rollback",
        lambda body: (
            f"the watch's evidence reached {body['wealth']:.0f}: {body['to']} serves again"
        ),
    ),
    "alarm.opened": ("alarm", lambda body: str(body["text"])),
    "look.blocked": ("blocked", lambda body: f"no refresh, the data is broken: {_failed(body)}"),
    "fault.injected": (
        "fault",
        lambda body: f"an injected fault struck {len(body['versions'])} fits",
    ),
    "fit.refused": (
        "fit",
        lambda body: f"a fit of {body['recipe']} is refused: {'; '.join(body['flaws'])}",
    ),
}


def _line(at: int, kind: str, text: str, version: str) -> dict[str, Any]:
    return {"at": iso(at), "kind": kind, "text": text, "version": version}


def _fits(answers: PolicyAnswers | None) -> int | None:
    return answers.fits if answers else None


def _by_day(scored: Scored, losses: np.ndarray | None) -> list[float | int | None]:
    """Each day's mean loss; its number of labelled rows where ``losses`` is None."""
    day = scored.day[scored.known]
    lo = np.searchsorted(day, scored.days, side="left")
    hi = np.searchsorted(day, scored.days, side="right")
    if losses is None:
        return [int(b - a) for a, b in zip(lo, hi, strict=True)]
    return [float(np.mean(losses[a:b])) if b > a else None for a, b in zip(lo, hi, strict=True)]


def _reliability(scored: Scored, p: dict[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    known = scored.known
    found = {}
    for name, predictions in p.items():
        curve = reliability(scored.y[known], predictions[known])
        found[name] = {"p": curve.p.tolist(), "y": curve.y.tolist(), "n": curve.n.tolist()}
    return found
