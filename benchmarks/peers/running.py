"""Starts the servers of other projects and says how each is asked."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.peers.models import plain_body, split_body

ROOT = Path(__file__).parents[2]
_BOTH = ["lightgbm==4.7.0", "scikit-learn==1.9.1", "pandas", "pyarrow", "numpy"]
_ONNX = [
    *("fastapi", "uvicorn", "uvloop", "httptools", "orjson", "onnxruntime", "onnxmltools"),
    *("skl2onnx", "protobuf<7"),  # skl2onnx 1.20 cannot write trees with protobuf 7
]
_READY_SECONDS = 180.0


class Peer(NamedTuple):
    """Another project's server.

    Attributes:
        needs: what its environment has beside the models' libraries.
        script: module of this folder that serves.
        path: where it is asked.
        body: makes a request of a model and a number of rows.
    """

    needs: list[str]
    script: str
    path: str = "/predict"
    body: Callable[[str, int], bytes] = plain_body


PEERS = {
    "fastapi+onnx": Peer(_ONNX, "fastapi_onnx"),
    "mosec": Peer(["mosec"], "mosec_app", "/inference"),
    "litserve": Peer(["litserve"], "litserve_app"),
    "bentoml": Peer(["bentoml"], "bentoml_app"),
    "mlflow": Peer(["mlflow"], "mlflow_model", "/invocations", split_body),
    "ray": Peer(["ray[serve]"], "ray_app"),
}


def environment(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, made when it is not there."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", folder / name], check=True)
        given = [*PEERS[name].needs, *_BOTH]
        subprocess.run(["uv", "pip", "install", "-q", "--python", python, *given], check=True)
    return python


class Running(NamedTuple):
    """A server that answers."""

    url: str
    process: int
    cold_seconds: float

    def processes(self) -> list[int]:
        """The process and all that it started."""
        return [each.pid for each in self._tree()]

    def _tree(self) -> list[psutil.Process]:
        root = psutil.Process(self.process)
        return [root, *root.children(recursive=True)]


@contextmanager
def served(name: str, model: str, stored: Path, folder: Path) -> Iterator[Running]:
    """A peer with a stored model of :func:`benchmarks.peers.models.store`, ended with all its processes."""
    peer, python, port = PEERS[name], environment(name, folder), _free_port()
    command = [str(python), "-m", f"benchmarks.peers.{peer.script}", model, str(stored), str(port)]
    if name == "mlflow":
        saved = folder / f"mlflow-{model}"
        if not saved.exists():
            made = [*command[:-1], str(saved)]
            subprocess.run(made, check=True, cwd=ROOT, capture_output=True)
        mlflow = [str(python), "-m", "mlflow", "models", "serve", "-m", str(saved)]
        command = [*mlflow, "--env-manager", "local", "-p", str(port), "--host", "127.0.0.1"]
    if name == "bentoml":
        target = "benchmarks.peers.bentoml_app:Served"
        command = [str(python), "-m", "bentoml", "serve", target, "--port", str(port)]
    began = time.perf_counter()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **_variables(python, model, stored)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}{peer.path}"
            _wait(url, peer.body(model, 1), process)
            yield Running(url, process.pid, time.perf_counter() - began)
        finally:
            _end(process.pid)
            process.wait()


def _variables(python: Path, model: str, stored: Path) -> dict[str, str]:
    """One thread a model; nothing is reported home; the environment's own commands come first."""
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PEER_MODEL": model,
        "PEER_PATH": str(stored),
        "BENTOML_DO_NOT_TRACK": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _wait(url: str, body: bytes, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_SECONDS
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    while time.monotonic() < until and process.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(request, timeout=30):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer: see its log")


def _end(process: int) -> None:
    """End a server and all that it started; some leave children that have a group of their own."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process)
        for each in [root, *root.children(recursive=True)]:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
    shutil.rmtree(Path.home() / "bentoml" / "tmp", ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
