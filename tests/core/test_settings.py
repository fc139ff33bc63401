"""Settings: defaults, variables, arguments, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from nenrin.core.errors import RequestError
from nenrin.core.settings import Settings


def test_defaults_keep_everything_in_the_folder(tmp_path: Path) -> None:
    settings = Settings.read(folder=tmp_path)
    assert settings.state_folder == tmp_path / ".nenrin"
    assert settings.database == f"sqlite:///{tmp_path}/.nenrin/state.db"
    assert settings.store == f"{tmp_path}/.nenrin/store"
    assert settings.environment == "dev"
    assert settings.workers >= 1
    assert settings.token is None
    assert settings.is_loopback


def test_the_folder_is_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read().state_folder == tmp_path / ".nenrin"


def test_variables_override_defaults_and_arguments_override_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NENRIN_PORT", "9000")
    monkeypatch.setenv("NENRIN_WORKERS", "0")
    monkeypatch.setenv("NENRIN_DATABASE_URL", "sqlite:////elsewhere/state.db")
    settings = Settings.read(port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 0)
    assert settings.database == "sqlite:////elsewhere/state.db"


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "high"), ("PORT", "70000"), ("WORKERS", "-1"), ("TOKEN", "short")]
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"NENRIN_{name}", value)
    with pytest.raises(RequestError) as caught:
        Settings.read()
    assert caught.value.where == f"NENRIN_{name}"
    assert value not in caught.value.message


def test_a_platform_tells_its_container_where_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENRIN_PORT", "8080")
    for name, value in {
        "AIP_HTTP_PORT": "7080",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert settings.port == 7080
    assert settings.health_route == "/v1/endpoints/1/deployedModels/2"
    assert settings.predict_route.endswith(":predict")
    assert Settings.read(port=9001).port == 9001
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/{name}")
    with pytest.raises(RequestError) as caught:
        Settings.read()
    assert caught.value.where == "AIP_PREDICT_ROUTE"
    monkeypatch.delenv("AIP_PREDICT_ROUTE")
    monkeypatch.delenv("AIP_HTTP_PORT")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "8081")
    assert Settings.read().port == 8081


def test_a_wrong_environment_or_argument_is_refused() -> None:
    with pytest.raises(RequestError, match="'Prod'"):
        Settings.read(environment="Prod")
    with pytest.raises(RequestError, match="prot"):
        Settings.read(prot=1)
    with pytest.raises(RequestError) as caught:
        Settings.read(port=99999)
    assert caught.value.where == "port"
    assert "NENRIN" not in caught.value.hint


def test_settings_do_not_change_and_never_show_the_token() -> None:
    settings = Settings.read(token="a-long-enough-token")
    assert "a-long-enough-token" not in repr(settings)
    assert settings.token
    assert settings.token.get_secret_value() == "a-long-enough-token"
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
    ],
)
def test_knows_hosts_that_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert Settings.read(host=host).is_loopback is loopback


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
