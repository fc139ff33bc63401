"""The report page stands alone, says everything that the report says, and no more."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest

from nenrin.api.pages import report_page
from tests.api.fake_report import fake_report, regression_report


class Reader(HTMLParser):
    """Collects texts, and checks that every element that opens closes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.outside += [name for name, _ in attrs if name in ("src", "href", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.mark.parametrize(
    "report",
    [fake_report(), fake_report(bad_week=False), fake_report(days=30), regression_report()],
    ids=["year", "year without fault", "month", "regression"],
)
def test_the_page_needs_nothing_from_outside(report: dict[str, object]) -> None:
    page = report_page(report)
    reader = read(page)
    assert reader.outside == []
    assert "script" not in reader.texts
    assert "http" not in page
    assert "url(" not in page
    assert len(page.encode()) < 400_000


def test_the_page_says_all_sentences_and_what_to_do_next() -> None:
    report = fake_report()
    said = " ".join(read(report_page(report)).texts)
    for sentence in [*report["sentences"], *report["bad_week"]["sentences"], *report["next"]]:
        assert sentence in said
    for event in report["events"]:
        assert event["text"] in said
    assert report["ledger_head"] in said
    assert (
        "The loop pays against 3 of 4 alternatives, with scrambled_fit:2013-07-29 played into"
        in said
    )
    assert "does not pay" in said
    assert "rolled it back on 31 Jul 09:00, after 52 hours" in said
    assert "from 1 April 2013 to 31 December 2013" in said


def test_every_month_and_policy_is_in_the_tables() -> None:
    report = fake_report()
    said = " ".join(read(report_page(report)).texts)
    for month in report["months"]:
        for policy in report["policies"]:
            assert f"{month[policy['name']]['log_loss']:.4f}" in said


def test_what_the_report_lacks_the_page_leaves_out() -> None:
    said = " ".join(read(report_page(regression_report())).texts)
    for absent in ("The bad week", "How models age", "What it did", "at their word"):
        assert absent not in said
    assert "RMSE" in said
    assert "squared error" in said


def test_a_fault_that_stays_is_said_to_stay() -> None:
    report = fake_report()
    report["bad_week"]["rolled_back"] = None
    assert "never rolled it back" in report_page(report)


def test_a_fault_that_never_served_is_said_to_have_missed() -> None:
    report = fake_report()
    missed = report["bad_week"]["policies"]["never"]
    report["bad_week"] |= {
        "first_served": None,
        "rolled_back": None,
        "served_hours": None,
        "policies": dict.fromkeys(report["bad_week"]["policies"], missed),
    }
    assert "The loop never served it" in report_page(report)


def test_many_models_are_cut_to_those_that_served() -> None:
    report = fake_report(days=7 * 60)
    assert "Only fits that served are shown" in report_page(report)


def test_names_cannot_break_the_page() -> None:
    report = copy.deepcopy(fake_report())
    hostile = '<img src="x" onerror="alert(1)">'
    report["project"]["deployment"] = report["project"]["rows_dataset"] = hostile
    report["policies"][1]["title"] = hostile
    report["sentences"] = [hostile]
    report["next"] = [hostile]
    for event in report["events"]:
        event["text"] = hostile
    page = report_page(report)
    assert "<img" not in page
    assert read(page).outside == []


def test_missing_figures_are_dashes() -> None:
    report = fake_report()
    report["total"]["never"]["roc_auc"] = None
    report["months"][0]["loop"]["log_loss"] = None
    report["days"]["loop"][:20] = [None] * 20
    assert "–" in " ".join(read(report_page(report)).texts)


def _luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_a_text_can_be_read_in_light_and_dark() -> None:
    schemes = re.findall(r":root \{(.*?)\}", report_page(fake_report(days=30)), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        paper = _luminance(colours["paper"])
        for name in ("ink", "quiet", "good", "bad", *(f"tone-{tone}" for tone in range(5))):
            low, high = sorted([paper, _luminance(colours[name])])
            assert (high + 0.05) / (low + 0.05) >= 4.5, name
