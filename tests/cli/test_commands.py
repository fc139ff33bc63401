"""Every command against a platform in memory: what it asks for, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.loop.safety import judge
from nenrin.serving.observed import Arm, Split
from tests.api.fake_report import fake_report
from tests.api.fakes import ran, step_error
from tests.cli.running import Run

REPORT = {**fake_report(), "id": "7d21c0"}

READS = [
    ("plan",),
    ("why", "fit delay"),
    ("status",),
    ("status", "--level"),
    ("rings",),
    ("rings", "delay"),
    ("rings", "1"),
    ("data", "list"),
    ("data", "show", "flights"),
    ("data", "profile", "flights"),
    ("models", "list"),
    ("models", "list", "delay"),
    ("models", "show", "version-1"),
    ("deployments", "list"),
    ("deployments", "show", "delay"),
    ("deployments", "rollback", "delay"),
    ("deployments", "freeze", "delay"),
    ("deployments", "unfreeze", "delay"),
    ("deployments", "freeze", "--all", "--reason", "the release"),
    ("deployments", "unfreeze", "--all"),
    ("deployments", "pause", "delay"),
    ("deployments", "pause", "delay", "--reason", "until Monday"),
    ("deployments", "resume", "delay"),
    ("deployments", "shadow", "delay"),
    ("deployments", "shadow", "delay", "version-2"),
    ("deployments", "shadow", "delay", "--off"),
    ("experiments", "start", "delay", "--version", "version-2"),
    ("experiments", "show", "delay"),
    ("experiments", "show", "delay", "--exposures"),
    ("experiments", "stop", "delay"),
    ("gates", "check", "delay"),
    ("audit", "verify"),
    ("audit", "verify", "--env", "dev", "--head", "c" * 64),
    ("run",),
    ("apply", "--env", "prod"),
    ("data", "load", "flights"),
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_for_people_and_for_programs(run: Run, words: tuple[str, ...]) -> None:
    told = run(*words)
    assert told.code == 0, told.err
    assert told.out.strip()
    assert "{" not in told.out
    asked = run(*words, "--json")
    assert asked.code == 0
    assert asked.json


def test_what_a_table_shows(run: Run) -> None:
    head, *rows = run("data", "list").out.splitlines()
    assert head.split() == [
        "dataset",
        "version",
        "rows",
        "added",
        "changed",
        "known",
        "until",
        "content",
    ]
    assert rows[0].split() == ["flights", "2", "12", "0", "0", "2013-01-01", "00:00Z", "a" * 12]


def test_a_line_of_a_ring_is_short_and_its_number_has_everything(run: Run) -> None:
    lines = run("rings").out
    assert "1 of 2 admitted; trailing 90d False, it said" in " ".join(lines.split())
    assert "champion.mean" not in lines
    out = " ".join(run("rings", "1").out.split())
    for said in (
        "ring 1 delay, 2013-01-01 09:00Z, rolled back",
        "trigger alarm, calibration at 2013-01-01 05:00Z: predictions are off by +0.0500 (bias 0.05)",
        "data flights, data-1, rows known then aaaaaaaaaaaa",
        "fit trailing 90d, version-2, refused: it answers NaN",
        "stands history, twin version-0, ok yes, mean -0.01",
        "numbers champion.mean -0.01",
        "promoted, 100 %, fast lane",
        "9 blocks, evidence 21.5, rolled back to version-0, bad version-1",
        "value 1,234",
    ):
        assert said in out.replace("│", "").replace("  ", " "), said


def test_a_ring_that_is_not_there_is_an_error(run: Run) -> None:
    told = run("rings", "99")
    assert told.code != 0
    assert "there is no ring 99 here" in told.err
    assert "nenrin rings" in told.err


def test_a_deployment_says_nothing_of_a_freeze_that_never_was(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(**freeze: object) -> str:
        plain = {"name": "delay", "frozen": bool(freeze), "frozen_since": 0, "thawed": 0}
        monkeypatch.setattr(run.platform.serving, "show", lambda *_: plain | freeze)
        return run("deployments", "show", "delay").out

    assert "thawed" not in kept()
    assert "since" not in kept()
    assert "frozen since  2013-01-01 00:00Z" in kept(frozen_since=1_356_998_400_000_000)


def test_a_status_says_who_is_left_out_and_what_is_paused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run.platform.loop.status("dev")
    breaker = {"version": "version-1", "open": True, "opened": 3, "answered by others": 1_700}
    well = {"open": False, "opened": 0, "answered by others": 0}
    lacks = {**well, "version": "version-2", "lacked": 1_200, "lacks": "z"}
    loads = {**well, "version": "version-3", "not loaded": "it does not load: no such file"}
    told["deployments"][0] |= {
        "paused": "until Monday",
        "paused_by": "ann",
        "breakers": [breaker, lacks, loads],
        "problem": "gone",
    }
    monkeypatch.setattr(run.platform.loop, "status", lambda _: told)
    out = run("status").out
    assert "delay: its rollout is paused by ann, until Monday" in out
    assert "delay: does not answer as its route says: gone" in out
    assert "version-1 is left out now; 1,700 requests were answered by others" in out
    assert "delay: 1,200 requests lacked z, without which version-2 failed" in " ".join(out.split())
    assert "delay: version-3 answers nothing: it does not load: no such file" in out
    assert "version-2 was left out" not in out


def test_a_deployment_says_what_live_requests_show(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = (
        Arm(dealt=200, answered=160, failed=40, faults=40),
        Arm(dealt=800, answered=790, failed=10, faults=10),
    )
    split = Split(
        deployment="delay", subject="v2", against="v1", share=0.2, mine=mine, theirs=theirs
    )
    found = {
        "safety": judge("v2", "v1", [split]).told(),
        "breakers": [{"version": "v2", "open": True, "opened": 3, "answered by others": 17}],
    }
    assert "is it safe?" not in run("deployments", "show", "delay").out
    monkeypatch.setattr(run.platform.loop, "show", lambda *_: found)
    out = run("deployments", "show", "delay").out
    assert "is it safe?  v2 against v1, 200 and 800 requests" in out
    [errors] = [line.split() for line in out.splitlines() if line.startswith("errors")]
    assert errors[:4] == ["errors", "0.2", "0.0125", "0.1875"]
    assert errors[-2:] == ["not", "safe"]
    assert "answered by others" in out
    assert run("deployments", "show", "delay", "--json").json["breakers"] == found["breakers"]
    back = {"at": "2013-01-01T00:00:00Z", "left": ["v2"], "to": "v1", "by": None, "reason": "bad"}
    found |= {"safety": None, "rolled_back": {**back, "safety": found["safety"]}}
    out = run("deployments", "show", "delay").out
    assert "rolled back  2013-01-01 00:00Z, v2 to v1: bad" in out
    assert "is it safe?  v2 against v1, 200 and 800 requests" in out
    found["rolled_back"] |= {"by": "ann", "safety": None}  # by hand, without numbers
    out = run("deployments", "show", "delay").out
    assert "v2 to v1, by ann: bad" in out
    assert "is it safe?" not in out


@pytest.mark.parametrize("budget", ["0", "101"])
def test_a_budget_that_is_none_is_refused_by_the_command_line(run: Run, budget: str) -> None:
    done = run("deployments", "shadow", "delay", "version-2", "--budget", budget)
    assert done.code == 2
    assert "--budget" in done.err
    assert "/docs" not in done.err


def test_the_plan_says_what_would_run(run: Run) -> None:
    out = run("plan").out
    assert "fit delay" in out
    assert "never ran" in out


def test_a_run_says_how_it_compares_and_why_it_was_let_in(run: Run) -> None:
    out = run("run").out
    assert "model         0.5000  0.4900 … 0.5100" in out
    assert "difference   −0.0500  −0.0600 … −0.0400  beats the baseline" in out
    assert "refund_reason alone all but tells the label (AUC 1.000)" in out
    assert "admitted: version-1 serves" in out
    assert "fail  a fail  loss differs by -0.05" in out
    assert "a pass" not in out
    page = Path(".nenrin/reports/run-1.html")
    assert str(page) in out
    assert "refund_reason alone all but tells what delay predicts" in page.read_text()


def test_a_check_says_that_the_version_is_marked_bad(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "would be admitted" in run("gates", "check", "delay").out
    found = {**run.platform.gates.check("dev", "delay"), "bad": True, "admitted": False}
    monkeypatch.setattr(run.platform.gates, "check", lambda *_: found)
    told = run("gates", "check", "delay").out
    assert "would be admitted" not in told
    assert "marked bad, never served again: nenrin why version-1" in told


def test_a_run_that_the_gates_refuse_ends_with_its_own_code(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {"admitted": False, "ships": "", "reason": "refused: worse", "checks": []}
    refused = {**ran("dev"), "champion": None, "verdict": verdict}
    done = {"revision": "revision-1", "deployments": [refused]}
    monkeypatch.setattr(run.platform.projects, "run", lambda *_, **__: done)
    told = run("run")
    assert told.code == 6
    assert "refused: worse; nothing serves yet" in told.out
    assert "nenrin gates check delay" in told.out


def test_a_run_with_nothing_to_do_says_what_it_waits_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = {**ran("dev"), "verdict": None, "evaluation": None, "leaking": []}
    done = {"revision": "revision-1", "deployments": [idle]}
    monkeypatch.setattr(run.platform.projects, "run", lambda *_, **__: done)
    told = run("run")
    assert told.code == 0
    assert "version-1 goes on serving" in told.out
    assert "nothing was due: the next look" in told.out
    assert not Path(".nenrin/reports").exists()


def test_a_run_after_the_loop_has_refused_the_code_says_what_was_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"at": "2013-01-02T00:00:00Z", "reason": "refused: worse"}
    idle = {**ran("dev"), "verdict": None, "evaluation": None, "leaking": [], "refused": refused}
    done = {"revision": "revision-2", "deployments": [idle]}
    monkeypatch.setattr(run.platform.projects, "run", lambda *_, **__: done)
    told = run("run").out
    assert "this code was refused at 2013-01-02 00:00Z, refused: worse" in told
    assert "nothing was due" not in told


def test_the_status_says_what_needs_to_be_known(run: Run) -> None:
    out = run("status").out
    assert "dev at 2013-01-01 00:00Z, its calendar stands at the end of the data" in out
    assert "predictions: 0 answered" in out
    frozen = ("frozen since 2013-01-02 00:00Z, the release", "held: look for a better version")
    for news in (
        "watched against version-0",
        "alarm since 2013-01-02 00:00Z: predictions are off",
        "9 of 21 closed days",
        "on probation",
        *frozen,
    ):
        assert news in out


def test_a_level_says_the_cheapest_step_and_every_item(run: Run) -> None:
    out = run("status", "--level").out
    assert "Microsoft  level 0 of 4 proven, level 0 configured" in out
    assert out.index("service = nr.deployment(MODEL)") < out.index("M4.7")
    assert run("status", "--level", "--env", "prod", "--json").json["environment"] == "prod"


def test_the_environment_goes_along(run: Run) -> None:
    assert run("status", "--env", "prod", "--json").json["environment"] == "prod"
    applied = run("apply", "--env", "prod", "--json").json
    assert applied["deployments"][0]["environment"] == "prod"
    assert run("status", "--env", "Prod!").code == 2


def test_progress_stays_out_of_the_result(run: Run) -> None:
    done = run("run", "--json")
    assert done.json["revision"] == "revision-1"
    assert "load flights" in done.err


def test_an_error_of_long_work_names_the_line(run: Run) -> None:
    run.platform.projects.error = step_error()
    done = run("run")
    assert done.code == 10
    assert "project.py:12" in done.err


def test_more_rows_come_from_a_file(run: Run) -> None:
    Path("march.csv").write_text("a\n1\n")
    assert run("data", "load", "flights", "march.csv").code == 0
    assert run.platform.data.loads[-1][3] == b"a\n1\n"


@pytest.mark.parametrize("name", ["april.csv", "march.xlsx"])
def test_a_file_that_cannot_be_read_is_named(run: Run, name: str) -> None:
    Path("march.xlsx").write_text("")
    done = run("data", "load", "flights", name)
    assert done.code == 2
    assert name in done.err
    assert run.platform.data.loads == []


def test_a_backtest_and_its_page(run: Run) -> None:
    run.platform.loop.made = REPORT
    done = run("backtest", "--from", "2013-04-01", "--inject", "scrambled_fit:2013-04-08")
    assert done.code == 0, done.err
    asked = run.platform.loop.asked[-1][1]
    assert asked["from_"] == "2013-04-01"
    assert asked["inject"] == ["scrambled_fit:2013-04-08"]
    name = REPORT["id"]
    assert "<html" in Path(".nenrin", "reports", f"{name}.html").read_text()
    assert f"{name}.html" in done.err


def test_a_backtest_as_json_has_the_head(run: Run) -> None:
    run.platform.loop.made = REPORT
    done = run("backtest", "--without", "watch", "--html", "page.html", "--json")
    assert done.json["ledger_head"] == REPORT["ledger_head"]
    assert Path("page.html").is_file()


def test_a_page_that_has_no_folder_is_refused_before_the_work(run: Run) -> None:
    done = run("backtest", "--html", "nowhere/page.html")
    assert done.code == 2
    assert run.platform.loop.asked == []


def test_the_predictions_of_the_newest_backtest(run: Run) -> None:
    run.platform.loop.made = REPORT
    done = run("backtest", "export", "--to", "p.parquet", "--json")
    assert done.json["rows"] == 1000
    assert Path("p.parquet").read_bytes() == b"PAR1" * 1000


def test_adopting_the_newest_or_a_named_backtest(run: Run) -> None:
    assert run("adopt").code == 4
    run.platform.loop.made = REPORT
    assert run("adopt", "--into", "dev").code == 0
    assert run.platform.loop.asked[-1] == ("adopt", ("b1", "dev"))
    assert run("adopt", "backtest/b0").code == 0
    assert run.platform.loop.asked[-1] == ("adopt", ("b0", "dev"))


def test_a_broken_ledger_ends_with_its_code(run: Run) -> None:
    run.platform.audit.breaks = [{"sequence": 3, "problem": "its content does not give its hash"}]
    done = run("audit", "verify")
    assert done.code == 11
    assert "its content does not give its hash" in done.out


def test_init_writes_an_example(run: Run) -> None:
    Path("project.py").unlink()
    done = run("init", "--example", "flights")
    assert done.code == 0, done.err
    assert "nr.deployment(" in Path("project.py").read_text()
    assert run("init", "--example", "flights").code == 5


def test_init_reads_a_table(run: Run) -> None:
    Path("project.py").unlink()
    rows = "\n".join(f"{n},{n % 7},{'Yes' if n % 3 else 'No'}" for n in range(300))
    Path("customers.csv").write_text(f"customer_id,visits,churned\n{rows}\n")
    done = run("init", "--from", "customers.csv", "--target", "churned", "--json")
    assert done.code == 0, done.out
    assert 'customers.churned == "Yes"' in Path("project.py").read_text()
    assert done.json["project"].endswith("project.py")


def test_init_says_what_it_needs(run: Run) -> None:
    done = run("init", "--target", "churned")
    assert done.code == 2
    assert "nenrin init --from data.csv --target column" in done.err


def test_the_demo_types_what_one_could_type(run: Run) -> None:
    run.platform.loop.made = REPORT
    done = run("demo", ".", "--until", "2013-08-01")
    assert done.code == 0, done.err
    name = REPORT["id"]
    assert [line for line in done.err.splitlines() if line.startswith("$ ")][1:] == [
        "$ nenrin backtest --until 2013-08-01",
        "$ nenrin backtest --until 2013-08-01 --inject scrambled_fit:2013-07-29",
        f"$ nenrin adopt {name} --into dev",
    ]
    assert run.platform.loop.asked[-1] == ("adopt", (name, "dev"))


def test_the_demo_refuses_a_fault_outside_its_window_at_once(run: Run) -> None:
    done = run("demo", "made", "--until", "2013-06-01")
    assert done.code == 2
    assert "lies after the window" in done.err
    assert not Path("made").exists()


def test_the_demo_as_json_and_again(run: Run) -> None:
    run.platform.loop.made = REPORT
    assert run("demo", ".", "--json").json["adopted"]["champion"]
    run.platform.loop.serves = True
    done = run("demo", ".", "--json")
    assert done.code == 0
    assert done.json["bad_week"]["ledger_head"] == REPORT["ledger_head"]


def test_a_freeze_is_of_one_deployment_or_of_all(run: Run) -> None:
    assert run("deployments", "freeze", "delay", "--reason", "why not").code == 0
    assert run("deployments", "freeze", "--all").code == 0
    assert run.platform.loop.asked == [
        ("freeze", ("dev", "delay", "why not")),
        ("freeze", ("dev", None, "by hand")),
    ]
    for words in ((), ("delay", "--all")):
        refused = run("deployments", "unfreeze", *words)
        assert refused.code == 2
        assert "--all" in refused.err


def test_a_shadow_is_begun_with_a_budget_and_a_reason(run: Run) -> None:
    words = ("--budget", "60", "--reason", "before its canary")
    assert run("deployments", "shadow", "delay", "version-2", *words).code == 0
    assert run.platform.loop.shadows.asked == [("delay", "version-2", 60, "before its canary")]
    both = run("deployments", "shadow", "delay", "version-2", "--off")
    assert both.code != 0
    assert "not both" in both.err
    assert run("deployments", "shadow", "delay", "version-2", "--budget", "0").code != 0


def test_an_experiment_ends_whatever_the_gate_says_of_its_version(run: Run) -> None:
    words = (
        "--strategy",
        "bandit",
        "--outcome",
        "orders.amount",
        "--lower",
        "--version",
        "version-3",
    )
    assert run("experiments", "start", "delay", "--version", "version-2", *words).code == 0
    [(name, asked)] = run.platform.loop.experiments.asked
    assert (name, asked.challengers) == ("delay", ("version-2", "version-3"))
    assert (asked.strategy, asked.outcome, asked.lower) == ("bandit", "orders.amount", True)
    told = run("experiments", "stop", "delay", "--promote", "version-2")
    assert told.code == 6
    assert "the gate says no" in told.err
