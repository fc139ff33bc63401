"""Alarms open, stay and resolve, one a cause."""

from __future__ import annotations

from nenrin.monitoring.alarms import Finding, reconcile


def finding(kind: str, subject: str = "weather", text: str = "bad") -> Finding:
    return Finding(kind=kind, subject=subject, text=text)


def test_a_cause_opens_once_and_is_updated():
    (opened,) = reconcile([], [finding("nulls")], at=10)
    assert (opened.opened, opened.updated, opened.seen, opened.resolved) == (10, 10, 1, None)
    (stays,) = reconcile([opened], [finding("nulls", text="worse")], at=20)
    assert (stays.id, stays.opened, stays.updated, stays.seen) == (opened.id, 10, 20, 2)
    assert stays.finding.text == "worse"


def test_what_is_not_found_again_is_resolved():
    (opened,) = reconcile([], [finding("nulls")], at=10)
    volume, resolved = reconcile([opened], [finding("volume")], at=20)
    assert volume.finding.kind == "volume"
    assert (resolved.id, resolved.resolved) == (opened.id, 20)


def test_the_same_cause_later_is_another_alarm():
    (first,) = reconcile([], [finding("nulls")], at=10)
    (second,) = reconcile([], [finding("nulls")], at=30)
    assert first.id != second.id


def test_subjects_are_kept_apart():
    opened = reconcile([], [finding("nulls", "a"), finding("nulls", "b")], at=10)
    assert len({alarm.id for alarm in opened}) == 2
