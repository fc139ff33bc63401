"""The terminal says what the page says, at eighty columns too."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from nenrin.cli.report import render
from tests.api.fake_report import fake_report, regression_report


def printed(report: dict[str, Any], width: int = 120) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(render(report))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_what_matters_comes_first() -> None:
    lines = [line for line in printed(fake_report()).splitlines() if line.strip()]
    assert lines[0].strip() == (
        "The loop pays against 3 of 4 alternatives, with scrambled_fit:2013-07-29 played into history"
    )
    assert lines[1].startswith("All 249,578 rows")


def test_it_says_figures_intervals_events_and_commands() -> None:
    report = fake_report()
    said = printed(report)
    for policy in report["policies"]:
        assert f"{report['total'][policy['name']]['log_loss']:.4f}" in said
    for sentence in [*report["sentences"], *report["next"], report["ledger_head"]]:
        assert sentence in said
    assert "−0.0244 … −0.0147" in said
    assert "31 Jul 09:00" in said
    assert "roll-backs 1" in said
    assert "The bad week (scrambled_fit:2013-07-29)" in said
    assert "5,732 never came" in said


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(fake_report(), width).splitlines())) <= width


def test_figures_are_whole_at_eighty_columns() -> None:
    report = fake_report()
    said = printed(report, 80)
    for month in report["months"]:
        for policy in report["policies"]:
            assert f"{month[policy['name']]['log_loss']:.4f}" in said


def test_a_regression_without_events_and_fault() -> None:
    said = printed(regression_report())
    assert "RMSE" in said
    assert "bad week" not in said


def test_many_events_are_left_to_the_page() -> None:
    report = fake_report()
    alarm = {"at": "2013-05-01T08:00:00Z", "kind": "alarm", "text": "again", "version": ""}
    report["events"] = [alarm] * 30
    assert "and 6 more: see the page" in printed(report)


def test_brackets_in_names_are_text() -> None:
    report = fake_report()
    report["sentences"] = ["[bold]not markup[/bold]"]
    assert "[bold]not markup[/bold]" in printed(report)
