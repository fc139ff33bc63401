"""A model in a container, run by an engine itself: docker where its daemon answers, podman for root.

The words that it is called with, and what it looks like without one: ``test_containers.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.waiting import wait_until
from nenrin.training.runtimes import container, servers
from tests.journeys.images import VARIABLES, python_root
from tests.journeys.plane import PlaneHere
from tests.journeys.test_containers import IMAGE as STANDS_IN
from tests.journeys.test_containers import PROJECT, own, rows
from tests.training.runtimes.test_servers import V2

IMAGE = f"localhost/nenrin-test-{os.getpid()}:3"
COMMAND = 'CMD ["python3", "/v2_server.py", "9000", "/tmp", "0.0.0.0"]'
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""
# podman asks for more open files and processes than a machine may allow; crun knows no hybrid cgroups
CONTAINERS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
{runtime}
"""
ASKS = """
import sys
from nenrin.training.runtimes import container, servers
container._ENGINES, servers._GRACE = (sys.argv[1],), 1
server = container.running(sys.argv[2], 9000)
print(server.url(0), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Engine:
    """An engine that runs containers here."""

    name: str

    def __call__(self, *words: str) -> str:
        """What it writes."""
        ran = subprocess.run(
            [self.name, *words], capture_output=True, text=True, check=False, timeout=540
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def containers(self, process: int | None = None) -> list[str]:
        """The names of those that a process of nenrin has; of this one if None."""
        told = self("ps", "--all", "--format", "{{.Names}}").split()
        return [name for name in told if name.startswith(f"nenrin-{process or os.getpid()}-")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an image that speaks version 2, as a tar."""
    folder = tmp_path_factory.mktemp("image")
    python_root(folder / "root")
    shutil.copy(V2, folder / "root")
    with tarfile.open(folder / "root.tar", "w") as made:
        made.add(folder / "root", arcname=".")
    return folder / "root.tar"


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(
    request: pytest.FixtureRequest, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine that has the image; nothing of it is left."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "_ENGINES", (name,))
        if name == "podman":
            for variable, file, text in (
                ("CONTAINERS_STORAGE_CONF", folder / "storage.conf", STORAGE),
                ("CONTAINERS_CONF", folder / "containers.conf", CONTAINERS),
            ):
                file.write_text(text.format(folder=folder, runtime=runtime()))
                patch.setenv(variable, str(file))
        changes = [f"--change={each}" for each in (*VARIABLES, COMMAND)]
        made = [name, "import", *changes, str(archive), IMAGE]
        runs = [name, "run", "--rm", "--publish", "127.0.0.1::9000", IMAGE, "python3", "-c", ""]
        if why := refused(made) or refused(runs):
            pytest.skip(f"{name} runs no containers here: {why}")
        found = Engine(name)
        yield found
        found("rmi", "--force", IMAGE)
        shutil.rmtree(folder)


def runtime() -> str:
    return 'runtime = "runc"' if shutil.which("runc") else ""


def refused(words: list[str]) -> str:
    """Why a command failed; empty where it did not."""
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=540)
    return "" if ran.returncode == 0 else ran.stderr.strip() or str(ran.returncode)


def test_a_version_is_judged_served_and_back_after_a_kill(tmp_path: Path, engine: Engine) -> None:
    frame = rows()
    frame.write_csv(tmp_path / "data.csv")
    (tmp_path / "project.py").write_text(PROJECT.replace(STANDS_IN, IMAGE))
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as platform:
        (done,) = platform.projects.run("dev")["deployments"]
    assert done["verdict"]["admitted"]
    (first,) = engine.containers()

    plane = PlaneHere(tmp_path)
    asked = frame.drop("churned")[:20].to_dicts()
    expected = own(frame["a"].to_numpy(), (frame["plan"] == "pro").to_numpy())[:20]
    (answer,) = plane.post("/invocations", asked)
    assert answer["predictions"] == pytest.approx(expected.tolist(), abs=1e-12)
    assert engine.containers() == [first]

    engine("kill", first)
    wait_until(lambda: engine.containers() not in ([], [first]))
    server = servers.shared(f"container {IMAGE}", None)  # type: ignore[arg-type]
    assert server.url(60)
    (answer,) = plane.post("/invocations", asked[:1])
    assert answer["predictions"] == pytest.approx(expected[:1].tolist(), abs=1e-12)
    server.close()
    assert engine.containers() == []


def test_a_container_that_heeds_no_signal_ends_with_a_process_that_is_killed(
    engine: Engine,
) -> None:
    """It outlives the engine's client."""
    with subprocess.Popen(
        [sys.executable, "-c", ASKS, engine.name, IMAGE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as asks:
        assert asks.stdout is not None
        assert asks.stdout.readline().startswith(b"http://127.0.0.1:")
        (name,) = engine.containers(asks.pid)
        engine("exec", name, "python3", "-c", "open('/tmp/deaf', 'w')")
        os.kill(asks.pid, signal.SIGKILL)
    wait_until(lambda: engine.containers(asks.pid) == [])
