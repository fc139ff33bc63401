"""The trees of ``nenrin why``."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from nenrin.cli.lineage import lineage

AT = "2024-03-01T12:00:00Z"
ORIGINS: dict[str, Any] = {
    "version": "version-m",
    "name": "delay",
    "kind": "model",
    "status": "registered",
    "revision": "revision-1",
    "code": {"commit": "c" * 40, "dirty": True, "python": "3.11", "packages": 7},
    "recipe": "trailing 30d",
    "look": AT,
    "cutoff": AT,
    "params": {"leaves": 31},
    "data": [
        {"dataset": "flights", "version": "data-1", "number": 1, "loaded": AT},
        {"dataset": "weather", "version": None, "known at the look": "d" * 64},
    ],
    "members": [],
    "others": ["without fold:3"],
    "content": "e" * 64,
    "admitted by": {"environment": "backtest/1", "verdicts": ["verdict-1"], "ring": None},
}
PREDICTION: dict[str, Any] = {
    "what": "prediction",
    "environment": "dev",
    "prediction": "prediction-1",
    "deployment": "delay",
    "answered by": {
        "version": "version-m",
        "role": "challenger",
        "members": [{"slot": "anchor", "version": "version-a", "share": 0.25}],
        "recalibration": {"a": 0.125, "b": 1.5},
    },
    "asked": AT,
    "answered": AT,
    "row": {"id": "[bold]7", "far": True},
    "features": {"temp": None},
    "answer": 0.25,
    "moved by": {"says": "the answer is a text"},
    "versions": [ORIGINS, {"version": "version-gone", "status": "not registered here"}],
    "label": {"state": "open", "says": "load 1 of arrivals has none yet", "of": "arrivals.late"},
    "log": {"issued": 1200, "written": 1197, "dropped": 0, "lost": 3, "waiting": 0},
}


def drawn(told: dict[str, Any]) -> str:
    printed = io.StringIO()
    Console(width=150, file=printed).print(lineage(told))
    return printed.getvalue()


def test_a_prediction_and_its_chain() -> None:
    text = drawn(PREDICTION)
    for said in (
        "prediction-1  0.25, in dev",
        "challenger version-m",
        "25.0% anchor, version-a",
        "logits times 1.5, plus 0.125",
        "id [bold]7, far yes",
        "the model saw  temp null",
        "moved by  the answer is a text",
        "flights, load 1 of 2024-03-01 12:00Z, data-1",
        "weather, rows dddddddddddd: no load here holds them",
        "commit cccccccccccc and changes",
        "leaves 31",
        "without fold:3",
        "let out by  verdict-1 in backtest/1",
        "version-gone  not registered here",
        "label  open: load 1 of arrivals has none yet",
        "1,197 of 1,200 written, 3 lost",
    ):
        assert said in text, text


def test_a_label_and_its_corrections() -> None:
    corrections = [{"known": AT, "label": 0.0}]
    label = {"of": "arrivals.late", "label": 1.0, "known": AT, "corrections": corrections}
    told = {**PREDICTION, "label": {**label, "asked": AT, "state": "late", "says": "1h after"}}
    text = drawn(told)
    assert "arrivals.late is 1, known 2024-03-01 12:00Z, then 0 at 2024-03-01 12:00Z; late" in text
    assert "the loaded row is asked at" not in text
    moved = {**told["label"], "asked": "2024-03-02T00:00:00Z"}
    assert "the loaded row is asked at 2024-03-02 00:00Z" in drawn({**told, "label": moved})


def test_a_log_that_lacks_nothing_is_not_spoken_of() -> None:
    log = {"issued": 2, "written": 2, "dropped": 0, "lost": 0, "waiting": 0}
    assert "the log" not in drawn({**PREDICTION, "log": log})


def test_a_version_with_much_that_came_of_it() -> None:
    span = {"deployment": "delay", "from": AT, "until": None, "weight": 100}
    holders = [
        {"version": f"version-{n}", "kind": "mixture", "slots": ["anchor"], "served": [span]}
        for n in range(15)
    ]
    text = drawn(
        {
            "what": "version",
            "environment": "dev",
            **ORIGINS,
            "verdicts": [{"id": "verdict-1", "role": "ships", "reason": "admitted"}],
            "rings": [{"ring": 4, "deployment": "delay", "trigger": "schedule", "at": AT}],
            "held by": holders,
            "served": [{**span, "until": AT}],
            "answered": {"alone": 3, "as a member": 1200, "first": AT, "last": AT},
            "taken back": [{"at": AT, "event": "version.marked", "status": "bad", "why": "odd"}],
        }
    )
    for said in (
        "verdict-1 (ships), admitted",
        "ring 4 of delay (schedule, 2024-03-01 12:00Z)",
        "3 earlier ones: --json",
        "version-14, mixture as anchor: delay 100 % 2024-03-01 12:00Z until now",
        "3 alone, 1,200 as a member, 2024-03-01 12:00Z to 2024-03-01 12:00Z",
        "2024-03-01 12:00Z bad: odd",
    ):
        assert said in text, text
    assert "version-2," not in text


def test_a_load() -> None:
    fit = {"version": "version-1", "model": "delay", "recipe": "history", "look": AT}
    text = drawn(
        {
            "what": "data version",
            "environment": "dev",
            "version": "data-2",
            "dataset": "flights",
            "number": 2,
            "rows": 1200,
            "added": 1000,
            "changed": 2,
            "known until": AT,
            "loaded": AT,
            "content": "f" * 64,
            "before": "data-1",
            "after": None,
            "trained": [{**fit, "held by": ["version-m"]}],
            "trained elsewhere": {"backtest/1": 156},
            "steps": [],
        }
    )
    for said in (
        "data-2  load 2 of flights, dev",
        "1,200 rows, 1,000 added, 2 changed",
        "other loads  before data-1",
        "version-1, delay history, look 2024-03-01 12:00Z, in version-m",
        "156 in backtest/1",
        "read by steps  none",
    ):
        assert said in text, text


def test_anything_else_is_drawn_as_facts() -> None:
    assert "it never ran" in drawn({"what": "fit delay", "because": "it never ran"})
