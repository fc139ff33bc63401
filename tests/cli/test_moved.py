"""The branch of ``nenrin why`` that says what moved an answer."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.tree import Tree

from nenrin.cli.moved import moved


def part(feature: str, contribution: float, value: Any = 1.0) -> dict[str, Any]:
    return {"feature": feature, "value": value, "contribution": contribution}


def member(slot: str, share: float, *parts: dict[str, Any], answer: float = 0.5) -> dict[str, Any]:
    base = answer - sum(each["contribution"] for each in parts)
    told = {"version": f"version-{slot}", "slots": [slot], "share": share, "answer": answer}
    return {**told, "base": base, "contributions": list(parts), "by": "its own trees"}


def of(members: list[dict[str, Any]], *parts: dict[str, Any], **other: Any) -> dict[str, Any]:
    told = {"answer": 0.5, "base": 0.25, "unexplained": 0.0, "recalibration": 0.0, "says": ""}
    return {**told, "contributions": list(parts), "members": members, **other}


def drawn(told: dict[str, Any]) -> list[str]:
    tree, printed = Tree("answer"), io.StringIO()
    moved(tree, told)
    Console(width=150, file=printed).print(tree)
    return [line.strip(" │├└─") for line in printed.getvalue().splitlines()[1:]]


def test_one_version_is_told_by_its_features() -> None:
    told = of([member("", 1.0)], part("late_24h", 0.3, 0.25), part("wet", -0.05, None))
    assert drawn(told) == [
        "moved by  starts at 0.25, ends at 0.5",
        "+0.300  late_24h 0.25",
        "-0.050  wet null",
    ]


def test_the_eight_largest_and_the_sum_of_the_rest() -> None:
    parts = [part(f"f{place}", 0.09 - place / 100) for place in range(11)]
    lines = drawn(of([member("", 1.0)], *parts))
    assert lines[8] == "+0.0200  f7 1"
    assert lines[9] == "+0.0000  and 3 more"
    assert len(lines) == 10


def test_members_recalibration_and_one_that_is_not_explained() -> None:
    parts = [part("a", 0.2), part("b", 0.1), part("c", 0.05), part("d", -0.01), part("e", -0.02)]
    lost = {"version": "version-x", "slots": ["anchor"], "share": 0.25, "why": "it is gone"}
    told = of(
        [member("history", 0.75, *parts, answer=0.6), lost],
        part("a", 0.2),
        unexplained=0.125,
        recalibration=-0.075,
        says="asked again, it answers 0.4",
    )
    assert drawn(told)[1:] == [
        "asked again, it answers 0.4",
        "+0.200  a 1",
        "+0.125  anchor, not explained",
        "-0.075  recalibration",
        "75.0% history: 0.6 from 0.28, a +0.200, b +0.100, c +0.050, 2 more -0.030",
        "25.0% anchor: not explained: it is gone",
    ]


def test_parts_are_written_to_the_third_digit_of_the_largest() -> None:
    assert drawn(of([member("", 1.0)], part("a", 1234.5), part("b", -1.2)))[1:] == [
        "+1234  a 1",
        "-1  b 1",
    ]
    assert drawn(of([member("", 1.0)], part("a", 0.0000123), part("b", 0.0)))[1:] == [
        "+0.0000123  a 1",
        "+0.0000000  b 1",
    ]


def test_a_text_has_no_parts() -> None:
    assert drawn({"says": "the answer is a text"}) == ["moved by  the answer is a text"]
