"""A backtest report as the loop gives it, drawn from a seed: for pages and terminals to render."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

TITLES = {
    "loop": "the loop",
    "never": "never retraining",
    "monthly_trailing": "monthly, trailing 90 d",
    "monthly_all": "monthly, all history",
    "weekly_all": "weekly, all history",
    "hindsight": "best of these in hindsight",
}
WORSE = {"loop": 0.0, "never": 0.02, "monthly_trailing": 0.009, "monthly_all": 0.001,
         "weekly_all": -0.001, "hindsight": -0.0015}  # fmt: skip


def fake_report(*, days: int = 275, seed: int = 7, bad_week: bool = True) -> dict[str, Any]:
    """A binary report over ``days`` days from 1 April 2013."""
    rng = np.random.default_rng(seed)
    first = date(2013, 4, 1)
    calendar = [first + timedelta(days=index) for index in range(days)]
    rows = rng.integers(820, 990, days)
    season = 0.44 + 0.07 * np.sin(np.arange(days) / 44) + rng.normal(0, 0.05, days)
    drift = np.minimum(np.arange(days) / 120, 1.6)
    loss = {
        name: season + worse * (drift if name == "never" else 1) + rng.normal(0, 0.004, days)
        for name, worse in WORSE.items()
    }
    if bad_week and days > 125:
        loss["weekly_all"][119:126] += 0.25
        loss["monthly_all"][122:153] += 0.24
        loss["monthly_trailing"][122:153] += 0.25
        loss["loop"][119:121] += 0.25
    return {
        "id": "backtest/2013-04-01-7d21c0", "ledger_head": "9f3a" * 16, "ledger_events": 1412,
        "project": {"deployment": "delay", "model": "delay", "task": "binary",
                    "metric": "log_loss", "rows_dataset": "flights",
                    "zone": "America/New_York", "baseline": "prior"},
        "window": {"train_from": "2013-01-01T05:00:00Z", "from": "2013-04-01T04:00:00Z",
                   "until": f"{calendar[-1] + timedelta(days=1)}T04:00:00Z", "days": days},
        "settle_age": "9h", "inject": ["scrambled_fit:2013-07-29"] if bad_week else [],
        "without": [],
        "policies": [{"name": name, "title": title, "color_index": index}
                     for index, (name, title) in enumerate(TITLES.items())],
        "columns": ["log_loss", "roc_auc", "bias"],
        "total": {name: _figures(loss[name], rows, rng) | {"rows": int(rows.sum()), "fits": 39}
                  for name in TITLES},
        "months": _months(calendar, rows, loss, rng),
        "days": {"day": [str(day) for day in calendar], "rows": rows.tolist()}
        | {name: np.round(each, 6).tolist() for name, each in loss.items()},
        "matrix": _matrix(days // 7, rng),
        "shares": _shares(calendar),
        "differences": [_difference(name, loss, rows) for name in TITLES if name != "loop"],
        "reliability": {name: _reliability(rng) for name in TITLES if name != "hindsight"},
        "events": _events(first, days, bad_week=bad_week),
        "counts": {"looks": 41, "trainings": 123, "promotions": 33, "refusals": 8,
                   "rollbacks": int(bad_week), "alarms": 3},
        "labels": {"closed": int(rows.sum()), "late": 214, "never": 5_732, "open": 118},
        "bad_week": _bad_week() if bad_week else None,
        "cost": {"cpu": {"fit": 171.2, "predict": 31.4, "platform": 44.9, "total": 247.5},
                 "wall": {"total": 148.0}, "fits": 96, "fits_reused": 27},
        "sentences": [
            "The loop pays against never retraining: 0.0194 of log loss a flight.",
            "It does not pay against weekly on all history: the interval reaches above 0.",
        ],
        "next": ["nenrin adopt backtest/2013-04-01-7d21c0 --into dev", "nenrin up"],
    }  # fmt: skip


def regression_report() -> dict[str, Any]:
    """A short report of a regression, without the parts that a report may lack."""
    report = fake_report(days=30, bad_week=False)
    report["project"] |= {"task": "regression", "metric": "rmse"}
    report["columns"] = ["rmse", "mae", "bias"]
    rename = {"log_loss": "rmse", "roc_auc": "mae", "bias": "bias"}
    names = [policy["name"] for policy in report["policies"]]
    for figures in [*report["total"].values(), *(m[n] for m in report["months"] for n in names)]:
        for old, new in rename.items():
            figures[new] = figures.pop(old)
    del report["matrix"], report["shares"]
    report |= {"reliability": {}, "events": []}
    return report


def _figures(loss: Any, rows: Any, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "log_loss": float(np.average(loss, weights=rows)),
        "roc_auc": float(0.71 + rng.normal(0, 0.006)),
        "bias": float(rng.normal(0, 0.012)),
    }


def _months(calendar: Any, rows: Any, loss: Any, rng: np.random.Generator) -> list[dict[str, Any]]:
    months = sorted({f"{day:%Y-%m}" for day in calendar})
    found = []
    for month in months:
        at = np.array([f"{day:%Y-%m}" == month for day in calendar])
        found.append(
            {
                "month": month,
                "rows": int(rows[at].sum()),
                "base_rate": float(rng.uniform(0.14, 0.3)),
            }
            | {name: _figures(loss[name][at], rows[at], rng) for name in TITLES}
        )
    return found


def _difference(name: str, loss: Any, rows: Any) -> dict[str, Any]:
    each = loss["loop"] - loss[name]
    mean = float(np.average(each, weights=rows))
    half = 1.96 * float(each.std()) / np.sqrt(len(each)) * 1.7
    pays = mean + half < 0
    title = TITLES[name]
    return {
        "against": name, "mean": mean, "low": mean - half, "high": mean + half, "pays": pays,
        "sentence": f"The loop {'pays' if pays else 'does not pay'} against {title}.",
    }  # fmt: skip


def _reliability(rng: np.random.Generator) -> dict[str, Any]:
    p = np.array([0.04, 0.09, 0.14, 0.19, 0.25, 0.31, 0.38, 0.47, 0.58, 0.71])
    n = np.array([31000, 42000, 39000, 33000, 27000, 21000, 17000, 12000, 7000, 2500])
    y = np.clip(p + rng.normal(0, 0.015, 10) - 0.02 * (p - 0.3), 0, 1)
    return {"p": p.tolist(), "y": y.tolist(), "n": n.tolist()}


def _shares(calendar: list[date]) -> dict[str, Any]:
    drift = np.linspace(0, 0.3, len(calendar))
    return {
        "day": [str(day) for day in calendar],
        "slots": {
            "history": (0.5 - drift).tolist(),
            "trailing 90d": (0.3 + drift).tolist(),
            "anchor": [0.2] * len(calendar),
        },
        "recalibrated": [False] * len(calendar),
    }


def _matrix(weeks: int, rng: np.random.Generator) -> dict[str, Any]:
    first = date(2013, 4, 1)
    names = [str(first + timedelta(days=7 * index)) for index in range(weeks)]
    fits = [
        {
            "version": f"delay-{made + 1}",
            "recipe": "history",
            "look": f"{names[made]}T04:00:00Z",
            "bad": False,
            "losses": [
                None if week < made else float(0.45 + 0.0016 * (week - made) + rng.normal(0, 0.002))
                for week in range(weeks)
            ],
            "served": [float(week - (week % 5 == 3) == made) for week in range(weeks)],
        }
        for made in range(weeks)
    ]
    return {"weeks": names, "rows": [6_000] * weeks, "fits": fits}


def _events(first: date, days: int, *, bad_week: bool) -> list[dict[str, Any]]:
    events = []
    for week in range(days // 7):
        at = f"{first + timedelta(days=7 * week)}T08:00:00Z"
        version = f"delay-{week + 1}"
        events.append({"at": at, "kind": "training", "version": version,
                       "text": f"{version} trained on history()"})  # fmt: skip
        kind = "refusal" if week % 5 == 3 else "promotion"
        reason = "not better than the champion" if kind == "refusal" else "passed every check"
        events.append({"at": at, "kind": kind, "version": version, "text": f"{version}: {reason}"})
    if bad_week:
        events.append({"at": "2013-07-31T13:00:00Z", "kind": "rollback", "version": "delay-18",
                       "text": "the watch closed 2.1 days after promotion: back to delay-17"})  # fmt: skip
        events.append({"at": "2013-08-20T13:00:00Z", "kind": "alarm", "version": "delay-21",
                       "text": "calibration: says 0.19, came true 0.23 since 13 August"})  # fmt: skip
    events.append({"at": "2013-06-03T08:00:00Z", "kind": "recipe_switch", "version": "delay-10",
                   "text": "history(half_life=60d) takes over from history()"})  # fmt: skip
    return sorted(events, key=lambda event: event["at"])


def _bad_week() -> dict[str, Any]:
    hit = {
        "loop": (2_010, 52.0, 0.712, 0.468),
        "monthly_trailing": (28_300, 744.0, 0.741, 0.474),
        "monthly_all": (28_300, 744.0, 0.729, 0.466),
        "weekly_all": (6_480, 168.0, 0.716, 0.465),
    }
    missed = {"rows": 0, "hours": 0.0, "loss": None, "undisturbed": None, "cost": 0.0}
    policies = {
        name: {
            "rows": rows,
            "hours": hours,
            "loss": loss,
            "undisturbed": sound,
            "cost": (loss - sound) * rows / 249_578,
        }
        for name, (rows, hours, loss, sound) in hit.items()
    }
    return {
        "inject": "scrambled_fit:2013-07-29", "first_served": "2013-07-29T09:00:00Z",
        "rolled_back": "2013-07-31T13:00:00Z", "served_hours": 52.0,
        "policies": policies | {"never": missed},
        "sentences": ["The loop rolled the faulty fit back 2.2 days after its first request.",
                      "Never retraining: not hit."],
    }  # fmt: skip
