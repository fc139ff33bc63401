"""Gate rules: what is refused when they are read, and that nothing passes by accident."""

from __future__ import annotations

import math

import pytest

from nenrin.core.errors import ProjectError
from nenrin.gates.policy import Policy, waive
from nenrin.gates.verdict import Check, Waiver

DECLARED = {
    "auc": float,
    "champion.mean": float,
    "champion.days": float,
    "change": str,
    "new": bool,
}


def read(*rules: dict[str, str]) -> Policy:
    return Policy.read(
        [{"name": f"rule {at}", **rule} for at, rule in enumerate(rules)], DECLARED, "p.py:3"
    )


def outcomes(policy: Policy, numbers: dict[str, object]) -> list[str]:
    return [check.outcome for check in policy.check(numbers)]


def test_rules_pass_and_fail_on_their_numbers():
    policy = read(
        {"require": "auc > 0.7"}, {"require": "champion.mean <= 0.0 || change == 'first'"}
    )
    assert outcomes(policy, {"auc": 0.8, "champion.mean": 0.1, "change": "first"}) == [
        "pass",
        "pass",
    ]
    assert outcomes(policy, {"auc": 0.6, "champion.mean": 0.1, "change": "code"}) == [
        "fail",
        "fail",
    ]
    checks = policy.check({"auc": 0.8, "champion.mean": 0.1, "change": "code", "new": True})
    assert [check.numbers for check in checks] == [
        {"auc": 0.8},
        {"champion.mean": 0.1, "change": "code"},
    ]


@pytest.mark.parametrize("numbers", [{}, {"auc": None}, {"auc": math.nan}, {"auc": "high"}])
def test_a_missing_number_cannot_decide(numbers):
    (check,) = read({"require": "auc > 0.7"}).check(numbers)
    assert check.outcome == "cannot decide"
    assert not check.admits


def test_what_decides_without_the_missing_number_decides():
    policy = read({"require": "champion.days < 3.0 || champion.mean <= 0.0"})
    assert outcomes(policy, {"champion.days": 0.0}) == ["pass"]
    assert outcomes(policy, {"champion.days": 9.0}) == ["cannot decide"]


def test_when_chooses_and_must_be_decidable():
    policy = read({"when": "change == 'code'", "require": "auc > 0.7"})
    assert outcomes(policy, {"change": "refresh"}) == []
    assert outcomes(policy, {"change": "code", "auc": 0.8}) == ["pass"]
    assert outcomes(policy, {"auc": 0.8}) == ["cannot decide"]


def test_a_warning_does_not_block():
    (check,) = read({"require": "auc > 0.7", "severity": "warn"}).check({"auc": 0.1})
    assert check.outcome == "fail"
    assert check.admits


def test_messages_show_numbers():
    policy = read({"require": "auc > 0.7", "message": "AUC {auc:.2f}, {champion.mean:+.3f}"})
    assert policy.check({"auc": 0.123})[0].message == "AUC 0.12, unknown"
    policy = read({"require": "auc > 0.7", "message": "AUC {auc}, {champion.mean:+}"})
    (check,) = policy.check({"auc": 0.123, "champion.mean": 104883.9})
    assert check.message == "AUC 0.1230, +104,884"


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("gates:\n  - name: a\n    require: acu > 0.9\n", "g.yaml:3", "'acu'", "known: auc"),
        ("- name: a\n  require: auc > 'x'\n", "g.yaml:2", r"\n  auc > 'x'\n      \^", "CEL"),
        ("- name: a\n  require: |\n    new\n    && auc > 1\n", "g.yaml:4", "overload", "1.0"),
        ("- name: a\n  when: change\n  require: new\n", "g.yaml:2", "STRING, not yes or no", ""),
        ("- name: a\n  require: auc >\n", "g.yaml:2", "Syntax error", ""),
        ("- name: a\n  requires: new\n", "g.yaml:1", "is not one", "require"),
        ("- name: a\n  require: new\n  because: x\n", "g.yaml:1", "because", "require"),
        ("- name: a\n  require: new\n  severity: loud\n", "g.yaml:1", "loud", "block or warn"),
        ("- name: a\n  require: new\n  message: '{acu}'\n", "g.yaml:3", "{acu}", "auc"),
        ("- name: a\n  require: new\n  message: '{new:.z}'\n", "g.yaml:3", "{new:.z}", ""),
        (
            "- name: a\n  require: new\n- name: a\n  require: new\n",
            "g.yaml:3",
            "two gate rules",
            "",
        ),
        ("- just text\n", "g.yaml:1", "not a gate rule", "list of rules"),
        ("gates: 5\n", "g.yaml:1", "no gate rules", "list of rules"),
        ("", "g.yaml:1", "no gate rules", "list of rules"),
        ("gates: []\n", "g.yaml:1", "no gate rules", "list of rules"),
        ("- name: a: b\n", "g.yaml:1", "not YAML", "quotes"),
    ],
)
def test_a_wrong_policy_is_refused_when_it_is_read(text, where, message, hint):
    with pytest.raises(ProjectError, match=message) as refused:
        Policy.read(text, DECLARED, "g.yaml")
    assert refused.value.where == where
    assert hint in refused.value.hint


@pytest.mark.parametrize("source", [[], ["text"], {"rules": []}, 5])
def test_an_inline_policy_is_a_list_of_rules(source):
    with pytest.raises(ProjectError) as refused:
        Policy.read(source, DECLARED, "project.py:7")
    assert refused.value.where == "project.py:7"


def test_text_and_inline_are_the_same_rules():
    text = Policy.read("gates:\n- {name: a, require: 'auc > 0.5'}", DECLARED)
    inline = Policy.read({"gates": [{"name": "a", "require": "auc > 0.5"}]}, DECLARED)
    assert text.rules == inline.rules


def test_a_waiver_lets_through_what_it_names_until_it_ends():
    checks = [
        Check(name="a", rule="new", outcome="fail"),
        Check(name="b", rule="new", outcome="fail"),
    ]
    waiver = Waiver(check="a", name="Mio", reason="known bug", until=10)
    waived = waive(checks, [waiver], at=9)
    assert [check.admits for check in waived] == [True, False]
    assert waived[0].outcome == "fail"
    assert waived[0].waived_by == "Mio: known bug"
    assert not waive(checks, [waiver], at=10)[0].admits


@pytest.mark.parametrize("field", ["check", "name", "reason"])
def test_a_waiver_says_who_and_why(field):
    whole = {"check": "a", "name": "Mio", "reason": "known bug", "until": 10}
    with pytest.raises(ProjectError, match="a name and a reason"):
        Waiver(**{**whole, field: " "})
