"""A model in a container: run by whatever asks it, judged, deployed and asked as any other.

A program stands in for docker: it writes down how it was called, and runs a server as the container would.
Engines themselves: ``test_engines.py``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ProjectError, RemoteError
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.waiting import wait_until
from nenrin.training.artefact import Artefact
from nenrin.training.declare import container
from nenrin.training.runtimes import servers
from nenrin.training.runtimes.container import running
from tests.features.makers import make_dataset
from tests.journeys.plane import PlaneHere
from tests.training.runtimes.test_servers import V2, alive, pid

N = 600
IMAGE = "registry.example/churn:3"
PROJECT = f"""import nenrin as nr
data = nr.file("data.csv", key="id")
churn = nr.container("{IMAGE}", model="churn", port=9000, rows=data, label=data.churned)
service = nr.deployment(churn)
"""
DOCKER = f"""#!{sys.executable}
import os, sys
folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(folder, "calls"), "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "run":
    host, port, inside = sys.argv[sys.argv.index("--publish") + 1].split(":")
    os.execv(sys.executable, [sys.executable, {V2!r}, port, folder])
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the program that stands in for docker; alone on the PATH."""
    folder = tmp_path / "engine"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setattr(servers, "_LOOK", 0.02)
    return folder


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as opened:
        yield opened


def own(a: np.ndarray, pro: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(1.5 * a - 1.0 * pro)))


def rows() -> pl.DataFrame:
    random = np.random.default_rng(3)
    a, pro = random.normal(size=N), random.random(N) < 0.5
    churned = (random.random(N) < own(a, pro)).astype(int)
    plan = np.where(pro, "pro", "basic")
    return pl.DataFrame({"id": np.arange(N), "a": a, "plan": plan, "churned": churned})


def test_a_container_answers_for_a_version(
    tmp_path: Path, platform: Platform, engine: Path
) -> None:
    frame = rows()
    frame.write_csv(tmp_path / "data.csv")
    (tmp_path / "project.py").write_text(PROJECT)
    (done,) = platform.projects.run("dev")["deployments"]
    assert done["verdict"]["admitted"]
    version = platform.registry.list("dev", "churn")[-1]
    assert (version.facts["format"], version.facts["file"]) == ("container", IMAGE)
    run = (engine / "calls").read_text().splitlines()[0].split()
    assert run[:3] == ["run", "--rm", "--name"]
    assert run[4] == "--publish"
    assert run[5].startswith("127.0.0.1:")
    assert run[5].endswith(":9000")
    assert run[6:] == [IMAGE]

    plane = PlaneHere(tmp_path)
    asked = frame.drop("churned")[:20].to_dicts()
    expected = own(frame["a"].to_numpy(), (frame["plan"] == "pro").to_numpy())[:20]
    (answer,) = plane.post("/invocations", asked)
    assert answer["predictions"] == pytest.approx(expected.tolist(), abs=1e-12)
    (runtime,) = plane._table.get("churn").runtimes
    assert runtime._waits  # however quick it is, the event loop never asks it

    process = pid(engine)
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: pid(engine) != process)
    artefact = Artefact.loads(platform.store.get(version.content), trusted=True)
    artefact.model._server = servers.shared(f"container {IMAGE}", None)  # type: ignore[arg-type]
    assert artefact.model._server.url(30)
    (answer,) = plane.post("/invocations", asked[:1])
    assert answer["predictions"] == pytest.approx(expected[:1].tolist(), abs=1e-12)
    artefact.model._server.close()
    assert not alive(pid(engine))
    calls = (engine / "calls").read_text().splitlines()
    assert {call.split()[0] for call in calls} == {"run", "rm"}


def test_without_an_engine_it_is_said(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rows().write_csv(tmp_path / "data.csv")
    (tmp_path / "project.py").write_text(PROJECT)
    with pytest.raises(RemoteError, match="neither docker nor podman is here to run") as caught:
        platform.projects.run("dev")
    assert caught.value.where


def test_an_engine_without_its_daemon_is_passed_over(engine: Path) -> None:
    client = engine / "bin" / "docker"
    client.rename(engine / "bin" / "podman")
    client.write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")
    client.chmod(0o755)
    server = running("churn:daemonless", 9000)
    assert server.url(30)
    server.close()
    calls = (engine / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["ps", "run", "rm"]


@pytest.mark.parametrize(
    ("image", "given", "says"),
    [
        ("https://host/v2/models/churn", {}, "is no image"),
        ("--privileged", {}, "is no image"),
        ("name of it", {}, "is no image"),
        ("churn:1", {"model": "a/b"}, "name no model of a server"),
        ("churn:1", {"port": 0}, "name no model of a server"),
        ("churn:1", {"timeout": "soon"}, "timeout='soon' is not a duration"),
    ],
)
def test_an_image_is_checked_where_it_is_declared(
    image: str, given: dict[str, object], says: str
) -> None:
    people = make_dataset("people", key="id")
    said = {"model": "churn", **given}
    with pytest.raises(ProjectError, match=says) as caught:
        container(image, rows=people, label=people.left, **said)  # type: ignore[arg-type]
    assert __file__ in caught.value.where
