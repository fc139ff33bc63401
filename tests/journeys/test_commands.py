"""Every command: help with an example, JSON, exit codes; and what plan, apply and why say along the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.shell import CHURN, Done, Shell, customers

COMMANDS = [
    *("init", "demo", "plan", "run", "backtest", "up", "status", "rings", "why", "apply", "adopt"),
    *("backtest export", "data list", "data show", "data load", "data profile"),
    *("models list", "models show", "gates check", "audit verify"),
    *("export container", "export kubernetes", "export kserve"),
    *("deployments list", "deployments show", "deployments promote", "deployments rollback"),
]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("commands")
    customers(600).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(CHURN)
    return Shell(folder, {"NENRIN_WORKERS": "0", "COLUMNS": "100"})


@pytest.fixture(scope="module")
def planned(shell: Shell) -> Done:
    """What ``plan`` says before anything has run."""
    return shell.here("plan")


@pytest.fixture(scope="module")
def ran(shell: Shell, planned: Done) -> Shell:
    shell.here("run")
    return shell


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(shell: Shell, command: str) -> None:
    told = shell.here(*command.split(), "--help").out
    _, _, example = told.partition("Example")
    assert f"nenrin {command}" in example
    assert "--json" in told


def test_the_list_of_commands_names_them_all(shell: Shell) -> None:
    told = shell.here("--help").out
    assert all(command.split()[0] in told for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("data show nothing", 4, "dataset nothing has no version in dev"),
        ("data load nothing", 4, "the project file declares no dataset 'nothing'"),
        ("data load customers none.csv", 2, "there is no file none.csv"),
        ("data profile nothing", 4, "load it: nenrin data load nothing"),
        ("models show version-0", 4, "nenrin models list"),
        ("deployments show none", 4, "deployments here: churned"),
        ("deployments promote churned version-0", 4, "version-0"),
        ("deployments rollback none", 4, "there is no deployment 'none'"),
        ("deployments rollback churned", 5, "has served nothing before"),
        ("gates check none", 4, "a verdict comes with the first training"),
        ("why nothing", 4, "nothing here is called 'nothing'"),
        ("adopt", 4, "run one: nenrin backtest"),
        ("adopt bt-0", 4, "there is no backtest 'bt-0'"),
        ("backtest", 6, "have no time, so there is no history to replay"),
        ("backtest export", 4, "run one: nenrin backtest"),
        ("status --env Prod!", 2, "Prod!"),
        ("export container --base mine", 2, "docker build --build-arg BASE=mine container"),
        ("init", 2, "nenrin init --from data.csv --target column"),
        ("init --example flights", 5, "there is a project.py in"),
        ("init --from none.csv --target x", 3, "none.csv"),
        ("init --from customers.csv --target churn", 3, "did you mean churned?"),
    ],
)
def test_what_does_not_work_says_why_and_what_to_do(
    ran: Shell, words: str, code: int, said: str
) -> None:
    done = ran.here(*words.split(), code=code)
    assert said in done.err
    assert "do this: " in done.err
    error = ran.here(*words.split(), "--json", code=code).json["error"]
    assert error["message"] in done.err
    assert error["hint"]


def test_outside_a_project(tmp_path: Path) -> None:
    done = Shell(tmp_path).here("status", code=2)
    assert "there is no project.py here" in done.err
    assert "nenrin init --example flights" in done.err
    assert not list(tmp_path.iterdir())


def test_where_a_file_has_the_name_of_the_state_folder(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(CHURN)
    (tmp_path / ".nenrin").write_text("")
    for command in ("status", "run", "up"):
        assert ".nenrin is a file" in Shell(tmp_path).here(command, code=5).err
    assert not (tmp_path / "nenrin.log").exists()


@pytest.mark.parametrize("removed", [False, True])
def test_damaged_content_is_named_with_what_to_do(
    ran: Shell, tmp_path: Path, removed: bool
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(ran.folder, folder)
    for blob in (folder / ".nenrin" / "store").glob("??/*"):
        blob.chmod(0o644)
        blob.unlink() if removed else blob.write_bytes(b"garbage")
    for command in (("run",), ("data", "profile", "customers")):
        said = Shell(folder, ran.variables).here(*command, code=4 if removed else 11).err
        assert ("no content is kept as" if removed else "has changed") in said
        assert "restore it from a backup" in said


def test_an_unknown_command_or_option_is_told_in_words(shell: Shell) -> None:
    assert "No such command" in shell("nonsense", code=2).err
    assert "No such option" in shell("run", "--nonsense", code=2).err
    told = shell.here("up", "--port", "99999", code=2).err
    assert "--port" in told
    assert "NENRIN_PORT" not in told


def test_a_plan_before_and_after_a_run(ran: Shell, planned: Done) -> None:
    assert "adds dataset customers" in planned.out
    assert "adds model churned" in planned.out
    assert "adds deployment churned" in planned.out
    nodes = ran.here("plan", "--json").json["deployments"][0]["nodes"]
    does = {node["name"]: node["does"] for node in nodes}
    assert does["load:customers"] == "runs"  # it reads the outside world
    assert does["features:churned"] == does["rows:churned"] == "kept"
    assert does["train:history"] == "if due"
    assert {node["stage"].partition(" ")[2] for node in nodes} == {
        *("extraction", "analysis", "preparation", "training"),
        *("evaluation", "validation", "deployment", "monitoring"),
    }
    after = ran.here("plan")
    assert "nothing changes: dev follows revision" in after.out
    ran.project.write_text(CHURN.replace("range(300)", "range(200)"))
    changed = ran.here("plan", "--json").json
    ran.project.write_text(CHURN)
    assert changed["changes"][-1].startswith("revision revision-")
    nodes = {node["name"]: node for node in changed["deployments"][0]["nodes"]}
    assert nodes["rows:churned"]["does"] == "runs"
    assert "project.py:11: for _ in range(300)" in nodes["features:churned"]["why"]


def test_another_environment_keeps_what_was_applied_to_it(ran: Shell) -> None:
    ran.here("apply", "--env", "steady")
    with Platform.open(Settings.read(folder=ran.folder, workers=0)) as platform:
        applied = platform.projects.follows("steady")
    ran.project.write_text(CHURN.replace("range(300)", "range(99)"))
    try:
        champion = ran.here("status", "--env", "steady", "--json").json["deployments"][0][
            "champion"
        ]
        promote = ("deployments", "promote", "churned", champion, "--env", "steady")
        assert "serves" in ran.here(*promote, code=5).err  # it has read the project to say so
        with Platform.open(Settings.read(folder=ran.folder, workers=0)) as platform:
            assert platform.loop.tick("steady") == 0
            assert platform.projects.follows("steady") == applied
            assert len(platform.units.find("steady", kind="revision.activated")) == 1
    finally:
        ran.project.write_text(CHURN)


def test_apply_says_what_changes_and_activates(ran: Shell) -> None:
    first = ran.here("apply", "--env", "prod")
    assert "adds model churned" in first.out
    assert "the first" in first.out
    assert "beats the baseline" in first.out
    assert ran.here("status", "--env", "prod", "--json").json["deployments"][0]["name"] == "churned"
    again = ran.here("apply", "--env", "prod")
    assert "nothing changes: prod follows revision" in again.out
    edited = CHURN.replace('"signed_up", "value"', '"signed_up"').replace("range(300)", "range(99)")
    ran.project.write_text(
        edited + "\n@nr.step\ndef counted(customers):\n    return len(customers)\n"
    )
    changed = ran.here("apply", "--env", "prod", "--json", code=None).json
    ran.project.write_text(CHURN)
    assert "changes model churned: drop=" in changed["changes"]
    assert "adds step counted" in changed["changes"]
    assert changed["steps"] == {"counted": "600"}
    assert ran.here("plan").out.startswith("nothing changes: dev follows")  # dev has not moved


def test_a_comment_is_no_new_model(ran: Shell) -> None:
    ran.project.write_text(f"# who leaves\n{CHURN}")
    done = ran.here("run")
    ran.project.write_text(CHURN)
    assert "goes on serving" in done.out
    assert "nothing was due" in done.out
    assert len(ran.here("rings", "--json").json) == 1


def test_why_goes_down_to_data_and_verdict(ran: Shell) -> None:
    served = ran.here("why", "churned", "--json").json
    version = ran.here("why", served["champion"], "--json").json
    assert version["what"] == "version"
    assert any(each.startswith("data:customers:") for each in version["made from"])
    verdict = ran.here("why", version["verdicts"][0]["id"], "--json").json
    assert verdict["admitted"]
    step = ran.here("why", "rows:churned", "--json").json
    assert step["what"] == "step"


def test_the_ledger_is_verified(ran: Shell) -> None:
    told = ran.here("audit", "verify", "--env", "dev", "--json").json
    [chain] = told["chains"]
    assert told["holds"]
    assert ran.here("audit", "verify", "--env", "dev", "--head", chain["head"]).code == 0
    other = f"{chain['head'].partition(':')[0]}:{'0' * 64}"
    assert ran.here("audit", "verify", "--env", "dev", "--head", other, code=11)
