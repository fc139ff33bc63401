"""Checkpoints from the command line: where they are kept, and how they come back."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from tests.cli.running import Run


class Taking(BaseHTTPRequestHandler):
    """Keeps what is posted; refuses at /no."""

    taken: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(json.loads(body))
        self.send_response(503 if self.path == "/no" else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    Taking.taken.clear()
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_to_a_file_and_back(run: Run) -> None:
    told = run("audit", "checkpoint", "--to", "monday.note")
    assert "nenrin+k" in told.out
    assert (run.folder / "monday.note").read_text() == "signed\n"
    verified = run("audit", "verify", "--checkpoint", "monday.note", "--key", "nenrin+k")
    assert verified.code == 0
    assert "kept outside is in the chain" in verified.out
    without = run("audit", "verify", "--checkpoint", "monday.note")
    assert "whoever rewrites the ledger may replace" in without.err
    (run.folder / "monday.note").write_text("sighed\n")
    assert run("audit", "verify", "--checkpoint", "monday.note").code == 11
    assert run("audit", "checkpoint", "--to", "-").out == "signed\n"
    assert run("audit", "checkpoint", "--to", "x.note", "--json").json["kept"] == ["x.note"]


def test_it_must_be_kept_somewhere(run: Run) -> None:
    told = run("audit", "checkpoint")
    assert told.code == 2
    assert "--git-note" in told.err
    assert run("audit", "checkpoint", "--to", "nowhere/x").code == 2
    assert run("audit", "verify", "--checkpoint", "none").code == 2
    assert run("audit", "verify", "--key", "k").code == 2
    assert run("audit", "verify", "--checkpoint", "none", "--head", "h").code == 2


def test_to_a_git_note(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
    git = ("git", "-C", str(run.folder))
    subprocess.run([*git, "init", "-q"], check=True)
    refused = run("audit", "checkpoint", "--git-note")
    assert refused.code == 9
    assert "git does not take the note" in refused.err
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    for _ in range(2):
        told = run("audit", "checkpoint", "--git-note")
        assert told.code == 0, told.err
    show = subprocess.run(
        [*git, "notes", "--ref=nenrin", "show"], capture_output=True, text=True, check=True
    )
    assert show.stdout == "signed\n"


def test_to_a_web_service(run: Run, service: str) -> None:
    told = run("audit", "checkpoint", "--webhook", f"{service}/in", "--json")
    assert told.json["kept"] == [f"{service}/in"]
    [sent] = Taking.taken
    assert sent["type"] == "ledger.checkpoint"
    assert sent["data"]["note"] == "signed\n"
    assert "answered 503" in run("audit", "checkpoint", "--webhook", f"{service}/no").err
    assert run("audit", "checkpoint", "--webhook", "http://127.0.0.1:9/").code == 9
    assert run("audit", "checkpoint", "--webhook", "ftp://x").code == 2
