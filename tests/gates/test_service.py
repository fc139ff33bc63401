"""The gates' service: verdicts are kept with their event, and a policy can be tried on them."""

from __future__ import annotations

import numpy as np
import pytest

from nenrin.core.errors import NotFoundError
from nenrin.gates.comparison import compare
from nenrin.gates.evidence import Evidence, read_policy
from nenrin.gates.service import GatesService
from tests.gates.fakes import FakeMarks, FakeUnits, FakeVerdicts

BETTER = np.array([-0.02, -0.01, -0.03, -0.02])


@pytest.fixture
def units() -> FakeUnits:
    return FakeUnits()


@pytest.fixture
def marks() -> FakeMarks:
    return FakeMarks()


@pytest.fixture
def service(units, marks) -> GatesService:
    return GatesService(units, FakeVerdicts(), marks)


def judged(service, units, e, at=5):
    with units.write("dev", at) as unit:
        return service.judge(
            unit,
            deployment="delay",
            judged="v1",
            ships="v2",
            against={"champion": "v0"},
            evidence=Evidence(change="refresh", champion=compare(e)),
        )


def test_a_verdict_is_kept_with_its_event(service, units):
    verdict = judged(service, units, BETTER)
    assert service.verdict("dev", verdict.id) == verdict
    assert service.verdicts("dev", "delay") == [verdict]
    assert service.verdicts("dev", "other") == []
    ((kind, subject, body),) = units.recorded
    assert (kind, subject) == ("verdict.given", verdict.id)
    assert (body["admitted"], body["outcome"], body["ships"]) == (True, "better", "v2")
    assert body["numbers"] == verdict.numbers
    assert body["numbers"]["champion.mean"] == pytest.approx(-0.02)
    assert body["checks"] == {check.name: check.outcome for check in verdict.checks} != {}


def test_the_event_covers_every_number(service, units):
    judged(service, units, BETTER)
    judged(service, units, BETTER * (1 + 1e-12))
    assert units.recorded[0][2]["digest"] != units.recorded[1][2]["digest"]


def test_a_policy_is_tried_on_the_newest_challenger(service, units):
    judged(service, units, BETTER)
    judged(service, units, -BETTER, at=6)
    strict = read_policy([{"name": "proof", "require": 'champion.verdict == "better"'}])
    tried = service.check("dev", "delay", strict)
    assert tried["verdict"]["admitted"] is False
    assert tried["admitted"] is False
    assert [check["name"] for check in tried["checks"]] == ["proof"]
    assert service.check("dev", "delay")["rules"][0]["name"] == "sane"


def test_a_version_marked_bad_since_is_not_admitted(service, units, marks):
    judged(service, units, BETTER)
    assert (service.check("dev", "delay")["admitted"], service.check("dev", "delay")["bad"]) == (
        True,
        False,
    )
    marks.marked.add("v2")
    tried = service.check("dev", "delay")
    assert (tried["admitted"], tried["bad"]) == (False, True)
    assert all(check["outcome"] != "fail" for check in tried["checks"])


def test_no_verdict_yet_is_said(service):
    with pytest.raises(NotFoundError, match="no verdict") as missing:
        service.check("dev", "delay")
    assert "nenrin run" in missing.value.hint
