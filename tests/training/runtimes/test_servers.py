"""Servers that are started here: ready before they are asked, back when they die, ended with who started."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from nenrin.core.errors import RemoteError
from nenrin.testing.waiting import wait_until
from nenrin.training.runtimes import servers
from nenrin.training.runtimes.servers import Command, Server, shared

V2 = str(Path(__file__).with_name("v2_server.py"))


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_LOOK", 0.02)
    monkeypatch.setattr(servers, "_HEALTH_EVERY", 0.05)


def command(folder: Path) -> Callable[[int], Command]:
    return lambda port: Command((sys.executable, V2, str(port), str(folder)))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server("the test's server", command(tmp_path))
    yield made
    made.close()


def alive(process: int) -> bool:
    """Whether it runs still; what has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def pid(folder: Path) -> int:
    return int((folder / "pid").read_text())


def ask(url: str) -> httpx2.Response:
    body = {"inputs": [{"name": "plan", "data": ["pro"]}, {"name": "a", "data": [0.5]}]}
    return httpx2.post(f"{url}/v2/models/churn/infer", json=body, timeout=120)


def test_a_server_is_ready_when_its_url_is_given_and_ends_when_closed(tmp_path: Path) -> None:
    server = Server("the test's server", command(tmp_path))
    assert ask(server.url(0)).is_success  # who asks first waits for its start
    process = pid(tmp_path)
    server.close()
    assert not alive(process)
    with pytest.raises(RemoteError):
        server.url(0)


@pytest.mark.parametrize("how", ["killed", "mute"])
def test_a_server_that_dies_or_is_silent_is_started_again(
    tmp_path: Path, server: Server, how: str
) -> None:
    before = server.url(0)
    process = pid(tmp_path)
    if how == "killed":
        os.kill(process, signal.SIGKILL)
    else:
        for word in ("deaf", "mute"):
            (tmp_path / word).touch()
        wait_until(lambda: server._keeper._url is None)
        assert alive(process)  # nobody is sent to it while it may end
        for word in ("deaf", "mute"):
            (tmp_path / word).unlink()
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: pid(tmp_path) != process)
    wait_until(lambda: server.url(30) != before)  # on a port of its own
    assert ask(server.url(30)).is_success


def test_a_server_that_does_not_start_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "_LONGEST_PAUSE", 0.1)
    program = "print('no such image'); raise SystemExit(125)"
    server = Server("image x", lambda _: Command((sys.executable, "-c", program)))
    with pytest.raises(RemoteError, match="image x is not ready: no such image") as caught:
        server.url(0)
    assert caught.value.where == "image x"
    with pytest.raises(RemoteError):
        server.url(60)  # nobody waits for what ends again and again
    server.close()


def test_answers_under_way_are_given_before_it_ends(tmp_path: Path, server: Server) -> None:
    url, got = server.url(0), list[httpx2.Response]()
    (tmp_path / "slow").touch()
    asking = threading.Thread(target=lambda: got.append(ask(url)))
    asking.start()
    wait_until((tmp_path / "asked").exists)
    server.close()
    asking.join()
    assert got[0].is_success
    assert not alive(pid(tmp_path))


def test_models_of_one_process_share_a_server_until_none_needs_it(tmp_path: Path) -> None:
    first, second = shared("one", command(tmp_path)), shared("one", command(tmp_path))
    assert first is second
    url = first.url(0)
    process = pid(tmp_path)
    del first, second
    gc.collect()
    third = shared("one", command(tmp_path))  # a moment later it is there still
    assert (third.url(0), pid(tmp_path)) == (url, process)
    timer = servers._lingering["one"][1]
    timer.cancel()
    timer.function(*timer.args)  # the moment is over
    gc.collect()
    assert alive(process)
    del third
    timer.args = ()
    gc.collect()
    wait_until(lambda: not alive(process))


def test_a_server_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from nenrin.training.runtimes.servers import Command, Server\n"
        "server = Server('x', lambda port: Command((sys.executable, *sys.argv[1:2], str(port), sys.argv[2]),"
        " (sys.executable, '-c', 'import sys, pathlib; pathlib.Path(sys.argv[1]).touch()', sys.argv[3])))\n"
        "print(server.url(0), flush=True); time.sleep(60)"
    )
    ended = tmp_path / "ended"
    starter = subprocess.Popen(
        [sys.executable, "-c", program, V2, str(tmp_path), str(ended)], stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    assert starter.stdout.readline().startswith(b"http://127.0.0.1:")
    process = pid(tmp_path)
    assert alive(process)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    wait_until(lambda: not alive(process))
    wait_until(ended.exists)  # what the command may leave behind is ended too
