"""One process holds a folder; every command is a client of it, or becomes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nenrin.api.client import Client, Detached, Stopped, _http, connect
from nenrin.api.folder import control_socket, log_file
from nenrin.api.holder import Holder
from nenrin.core.errors import (
    NotFoundError,
    ProjectError,
    RefusedError,
    StepError,
    UnavailableError,
)
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from tests.api.fakes import FakePlatform, step_error

Told = list[dict[str, Any]]


class Opened:
    """Opens fake platforms, and keeps them."""

    def __init__(self) -> None:
        self.platforms: list[FakePlatform] = []

    def __call__(self, settings: Settings, lock: FolderLock) -> Holder:
        return Holder(settings, lock, self._open)

    def _open(self, settings: Settings) -> Any:
        self.platforms.append(FakePlatform(settings))
        return self.platforms[-1]

    @property
    def last(self) -> FakePlatform:
        return self.platforms[-1]


class QuickTimer:
    """Waits without waiting: each sleep is a long step of its clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.now += 100 * seconds


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path)


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def client(settings: Settings, opened: Opened) -> Iterator[Client]:
    with connect(settings, opened) as client:
        yield client


def test_the_first_command_becomes_the_holder(settings: Settings, opened: Opened) -> None:
    with connect(settings, opened) as client:
        assert client.own
        assert client.get("/api/health")["pid"] == os.getpid()
        assert FolderLock(settings.state_folder).held_by() == os.getpid()
    assert opened.last.closed
    assert FolderLock(settings.state_folder).held_by() is None
    assert not control_socket(settings.state_folder).exists()


def test_others_use_it_while_it_lives(settings: Settings, opened: Opened) -> None:
    with connect(settings, opened), connect(settings, opened) as second:
        assert not second.own
        assert second.get("/api/status")["environment"] == "dev"
    assert len(opened.platforms) == 1


def test_only_this_user_may_open_the_socket(client: Client, settings: Settings) -> None:
    assert control_socket(settings.state_folder).stat().st_mode & 0o777 == 0o600


def test_a_client_speaks_of_its_own_environment(settings: Settings, opened: Opened) -> None:
    prod = settings.model_copy(update={"environment": "prod"})
    with connect(settings, opened), connect(prod, opened) as second:
        assert second.get("/api/status")["environment"] == "prod"


def test_a_stale_socket_is_replaced(settings: Settings, opened: Opened) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.api.test_client import Opened, Settings, connect\n"
        "with connect(Settings(folder=Path(sys.argv[1])), Opened()):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(settings.folder)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert control_socket(settings.state_folder).exists()
    with connect(settings, opened) as client:
        assert client.get("/api/health")["pid"] == os.getpid()


def test_a_holder_that_does_not_answer_is_named(settings: Settings, opened: Opened) -> None:
    with (
        FolderLock(settings.state_folder),
        pytest.raises(UnavailableError, match=f"process {os.getpid()} holds"),
        connect(settings, opened, QuickTimer()),
    ):
        pass
    assert opened.platforms == []


def test_a_platform_that_does_not_open_gives_the_folder_back(settings: Settings) -> None:
    def broken(settings: Settings) -> Any:
        raise ProjectError("no", hint="fix it")

    with (
        pytest.raises(ProjectError),
        connect(settings, lambda settings, lock: Holder(settings, lock, broken)),
    ):
        pass
    assert FolderLock(settings.state_folder).held_by() is None


def test_a_long_path_has_its_socket_elsewhere(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    deep.mkdir(parents=True)
    settings = Settings(folder=deep)
    path = control_socket(settings.state_folder)
    assert len(os.fsencode(path)) <= 100
    assert path.parent.stat().st_mode & 0o077 == 0
    with connect(settings, opened) as client:
        assert client.get("/api/health")["ready"]


def test_errors_come_back_as_what_they_were(client: Client, opened: Opened) -> None:
    with pytest.raises(RefusedError) as refused:
        client.post("/api/deployments/delay/promote", {"version": "version-1"})
    assert (refused.value.where, refused.value.hint) == ("delay", "see nenrin gates check")
    with pytest.raises(NotFoundError):
        client.get("/api/models/version-9")
    with pytest.raises(NotFoundError):
        client.text("/api/backtests/newest/page")


def test_work_is_followed_to_its_result(client: Client) -> None:
    told: Told = []
    assert client.work("/api/run", None, told.append)["revision"] == "revision-1"
    assert {"stage": "load flights", "done": 2, "total": 2, "note": ""} in told


def test_an_error_of_work_comes_back(client: Client, opened: Opened) -> None:
    opened.last.projects.error = step_error()
    with pytest.raises(StepError) as raised:
        client.work("/api/run", None, lambda said: None)
    assert raised.value.where == "project.py:12"


def test_an_unforeseen_error_is_in_the_log(
    client: Client, opened: Opened, settings: Settings
) -> None:
    opened.last.projects.error = ZeroDivisionError("nothing to divide by")
    with pytest.raises(Exception, match="something unexpected happened"):
        client.work("/api/run", None, lambda said: None)
    assert "Traceback" in log_file(settings.state_folder).read_text()


def test_a_download_is_whole(client: Client, opened: Opened, tmp_path: Path) -> None:
    opened.last.loop.made = {"id": "b1"}
    said = client.download("/api/backtests/newest/predictions", tmp_path / "p.parquet")
    assert (said["rows"], said["title"]) == (1000, "größer")
    assert (tmp_path / "p.parquet").read_bytes() == b"PAR1" * 1000


def test_a_refused_download_leaves_no_file(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        client.download("/api/backtests/newest/predictions", tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()


def test_an_upload_is_followed(client: Client, opened: Opened, tmp_path: Path) -> None:
    rows = tmp_path / "march.csv"
    rows.write_text("a,b\n1,2\n")
    loaded = client.upload("/api/data/flights", rows, lambda said: None, form="csv")
    assert loaded["rows"] == 13
    assert opened.last.data.loads[0][3] == b"a,b\n1,2\n"


def _interrupting(times: int) -> Callable[[dict[str, Any]], None]:
    left = [times]

    def told(said: dict[str, Any]) -> None:
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt

    return told


def test_ctrl_c_asks_the_work_to_stop(client: Client, opened: Opened) -> None:
    opened.last.projects.gate.clear()
    with pytest.raises(Stopped):
        client.work("/api/run", None, _interrupting(1))
    assert client.get("/api/work")[0]["state"] == "cancelled"


def test_ctrl_c_twice_detaches(client: Client) -> None:
    with pytest.raises(Detached, match="work-1"):
        client.work("/api/run", None, _interrupting(2))


def test_leaving_waits_for_the_work_of_others(settings: Settings, opened: Opened) -> None:
    with connect(settings, opened) as first:
        assert first.get("/api/health")["ready"]
        opened.last.projects.gate.clear()
        with connect(settings, opened) as second:
            second.post("/api/run")
        assert opened.last.projects.started.wait(120)
        threading.Timer(0.2, opened.last.projects.gate.set).start()
    assert opened.last.projects.gate.is_set()


def test_leaving_waits_until_others_have_what_they_came_for(
    settings: Settings, opened: Opened
) -> None:
    got: list[str] = []

    def other() -> None:
        with connect(settings, opened) as second:
            got.append(second.work("/api/run", None, lambda said: None)["revision"])
            threading.Event().wait(0.5)  # longer than an idle holder takes to end
            got.append(second.get("/api/status")["environment"])

    with connect(settings, opened) as first:
        assert first.get("/api/health")["ready"]
        opened.last.projects.gate.clear()
        thread = threading.Thread(target=other)
        thread.start()
        assert opened.last.projects.started.wait(120)
        opened.last.projects.gate.set()
    assert got == ["revision-1", "dev"]
    thread.join(120)


def test_who_has_not_asked_yet_is_waited_for(settings: Settings, opened: Opened) -> None:
    others = ExitStack()

    def ask_and_leave() -> None:
        with others:
            client.post("/api/run")

    with connect(settings, opened):
        client = others.enter_context(connect(settings, opened))
        threading.Timer(0.5, ask_and_leave).start()
    assert opened.last.projects.started.is_set()


def test_who_comes_while_it_leaves_holds_the_folder_next(
    settings: Settings, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: list[bool] = []

    def other() -> None:
        with connect(settings, opened) as second:
            second.work("/api/run", None, lambda said: None)
            own.append(second.own)

    thread = threading.Thread(target=other)
    close = Holder.close

    def slow(holder: Holder) -> None:
        if not thread.ident:
            thread.start()
            thread.join(0.2)  # it would find the socket in that time
        close(holder)

    monkeypatch.setattr(Holder, "close", slow)
    with connect(settings, opened) as first:
        assert first.get("/api/health")["ready"]
    thread.join(120)
    assert own == [True]


def test_one_that_hangs_is_not_waited_for(
    settings: Settings, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.api.holder._PARTING", 0.05)
    with ExitStack() as others:
        with connect(settings, opened):
            others.enter_context(connect(settings, opened))
        assert opened.last.closed


# httpcore2 leaves the socket of a refused connection to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_holder_that_ended_is_said_so(settings: Settings, opened: Opened) -> None:
    with connect(settings, opened) as first:
        path = control_socket(settings.state_folder)
        first._http.close()
    with _http(path) as http, pytest.raises(UnavailableError, match="is gone"):
        Client(http, "dev").get("/api/status")
