"""What a client command reads of the settings is what the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.cli.session import Here
from nenrin.core.errors import ProjectError, RequestError
from nenrin.core.settings import Settings

VARIABLES = [
    {},
    {"NENRIN_ENVIRONMENT": "prod"},
    {"nenrin_environment": "prod"},
    {"NENRIN_FOLDER": "there"},
    {"Nenrin_Folder": "there", "NENRIN_ENVIRONMENT": "backtest/a20"},
    {"NENRIN_FOLDER": ""},
]


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("env", [None, "staging"])
def test_it_is_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], env: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for folder in (".", "there"):
        (tmp_path / folder / "project.py").touch()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    here, settings = Here.of(env), Settings.read(environment=env)
    assert here.environment == settings.environment
    assert here.state_folder == settings.state_folder


@pytest.mark.parametrize("env", ["", "Prod", "backtest"])
def test_no_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project.py").touch()
    for read in (lambda: Here.of(env), lambda: Settings.read(environment=env)):
        with pytest.raises(RequestError, match="cannot name an environment"):
            read()


def test_no_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match="no project"):
        Here.of(None)
