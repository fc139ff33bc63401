"""Evidence, the default policy and verdicts: the rules of the gate, written once more and compared."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.gates.comparison import SLACK, Comparison, compare
from nenrin.gates.evidence import DECLARED, CalibrationEvidence, Evidence, read_policy
from nenrin.gates.judge import judge
from nenrin.gates.sanity import Flaw
from nenrin.gates.slices import SliceResult
from nenrin.gates.verdict import Verdict, Waiver

POLICY = read_policy()
BETTER = np.array([-0.02, -0.01, -0.03, -0.02])


def verdict_of(evidence: Evidence, **changes: object) -> Verdict:
    given = {
        "deployment": "delay",
        "judged": "v1",
        "ships": "v2",
        "against": {"champion": "v0"},
        "policy": POLICY,
        "at": 5,
    }
    return judge(evidence=evidence, **{**given, **changes})


def failed(evidence: Evidence) -> list[str]:
    return [check.name for check in verdict_of(evidence).checks if not check.admits]


def admits(found: Comparison, *, anchor: bool, probation: bool) -> bool:
    """The rule as it is written in docs/loop.md."""
    if found.verdict == "none":
        return not (anchor or probation)
    if anchor:
        return found.verdict == "better"
    return found.mean <= SLACK if probation else found.verdict != "worse"


days = st.lists(st.floats(-0.1, 0.1), min_size=0, max_size=8).map(np.array)


@settings(max_examples=300, deadline=None)
@given(e=st.none() | days, anchor=st.booleans(), probation=st.booleans())
def test_the_default_policy_is_the_rule_for_a_refresh(e, anchor, probation):
    found = compare(e)
    change = "anchor" if anchor else "refresh"
    evidence = Evidence(change=change, champion=found, probation=probation)
    expected = admits(found, anchor=anchor, probation=probation)
    assert verdict_of(evidence).admitted == expected


def test_new_code_must_be_better_and_not_worse_than_anything():
    assert failed(Evidence(change="code", champion=compare(BETTER))) == []
    assert failed(Evidence(change="code", champion=compare(None))) == ["better than the champion"]
    assert failed(
        Evidence(
            change="code",
            champion=compare(BETTER),
            anchor=compare(-BETTER),
            baseline=compare(-BETTER),
            flaws=(Flaw(kind="nan", text=""),),
        )
    ) == ["sane", "not worse than the anchor", "not worse than the baseline"]


def test_lost_calibration_and_a_hurt_slice_keep_new_code_out():
    hurt = SliceResult(
        column="origin", value="JFK", rows=900, days=28, mean=0.1, se=0.01, worse=True
    )
    lost = CalibrationEvidence(bias=-0.08, se=0.005, champion=0.01)
    evidence = Evidence(change="code", champion=compare(BETTER), calibration=lost, slices=(hurt,))
    assert failed(evidence) == ["calibrated", "no slice is hurt"]
    for harmless in (
        CalibrationEvidence(bias=0.01, se=0.0),
        CalibrationEvidence(bias=-0.08, se=0.03),
        CalibrationEvidence(bias=-0.08, se=0.005, champion=-0.09),
    ):
        assert failed(Evidence(change="code", champion=compare(BETTER), calibration=harmless)) == []


def test_a_first_version_is_judged_against_the_baseline():
    verdict = verdict_of(Evidence(change="first", baseline=compare(BETTER), leak=0.995))
    assert verdict.admitted
    assert (verdict.outcome, verdict.compared) == ("better", "paired")
    assert [check.name for check in verdict.checks if check.outcome == "fail"] == ["nothing leaks"]
    refused = verdict_of(Evidence(change="first", baseline=compare(-BETTER)))
    assert refused.reason.startswith("refused: not worse than the baseline")


def test_a_verdict_without_a_comparison_says_so():
    verdict = verdict_of(Evidence(change="refresh"))
    assert (verdict.outcome, verdict.compared, verdict.admitted) == ("undecided", "none", True)
    assert verdict.reason == "admitted: nothing to compare with the champion yet"
    verdict = verdict_of(Evidence(change="code"))
    assert not verdict.admitted
    assert verdict.reason == (
        "refused: there are no rows yet on which the champion can be compared"
        " (better than the champion)"
    )


def test_a_champion_worse_than_the_baseline_does_not_refuse_its_replacement():
    """The twin of such a refresh is the champion: keeping it would not help."""
    assert verdict_of(Evidence(change="refresh", baseline=compare(-BETTER))).admitted
    compared = Evidence(change="refresh", champion=compare(BETTER), baseline=compare(-BETTER))
    assert failed(compared) == ["not worse than the baseline"]


def test_a_reason_blames_the_champion_only_for_its_own_numbers():
    flawed = Evidence(change="refresh", flaws=(Flaw(kind="nan", text=""),))
    assert verdict_of(flawed).reason.startswith("refused: sane (1 sanity checks")


def test_a_waiver_is_told_in_the_reason():
    waiver = Waiver(check="not worse than the champion", name="Mio", reason="known bug", until=9)
    worse = Evidence(change="refresh", champion=compare(-BETTER))
    assert not verdict_of(worse).admitted
    verdict = verdict_of(worse, waivers=[waiver])
    assert verdict.admitted
    assert verdict.reason.endswith("not worse than the champion waived by Mio: known bug")


def test_ids_are_derived_from_everything():
    evidence = Evidence(change="refresh", champion=compare(BETTER))
    assert verdict_of(evidence) == verdict_of(evidence)
    ids = {
        verdict_of(evidence).id,
        verdict_of(evidence, at=6).id,
        verdict_of(evidence, ships="v3").id,
        verdict_of(Evidence(change="refresh", champion=compare(BETTER * 1.0001))).id,
    }
    assert len(ids) == 4


def test_a_verdict_survives_json():
    verdict = verdict_of(
        Evidence(change="code", champion=compare(None), metrics={"judged": {"r2": np.nan}})
    )
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_every_number_is_declared_with_its_type():
    hurt = SliceResult(column="c", value="v", rows=1, days=7, mean=0.1, se=0.01, worse=True)
    evidence = Evidence(
        change="code",
        champion=compare(BETTER),
        anchor=compare(BETTER),
        baseline=compare(BETTER),
        metrics={"judged": {"roc_auc": 0.7}, "champion": {"roc_auc": 0.6}},
        calibration=CalibrationEvidence(bias=0.1, se=0.1, champion=-0.2),
        slices=(hurt,),
        leak=0.6,
    )
    numbers = evidence.numbers()
    assert list(numbers) == sorted(numbers)
    for name, value in numbers.items():
        assert isinstance(value, DECLARED[name]), name
