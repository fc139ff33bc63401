"""A process that is killed loses nothing that it had acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.sql.database import Database
from nenrin.core.ledger import verify

_WRITE = """
import sys
from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.sql.database import Database
folder, environment, url = sys.argv[1:]
store = LocalStore(folder + "/store")
with Database(url) as units:
    for number in range(1_000_000):
        content = store.put(b"content %d" % number)
        with units.write(environment, number) as unit:
            unit.record("version.registered", "delay", {"content": content})
            unit.record("alias.moved", "delay", {"number": number})
        print(number, flush=True)
"""


@pytest.mark.parametrize("environment", ["dev", "backtest/b-1"])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, environment: str, url: str) -> None:
    acknowledged = -1
    with subprocess.Popen(
        [sys.executable, "-c", _WRITE, str(tmp_path), environment, url],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if acknowledged == 30:
                process.kill()
            acknowledged = int(line) if line.endswith("\n") else acknowledged
    store = LocalStore(tmp_path / "store")
    with Database(url) as units:
        events = list(units.events(environment))
        assert verify(events)[1] == []
        assert len(events) % 2 == 0
        assert len(events) >= 2 * (acknowledged + 1)
        for event in events[::2]:
            store.verify(event.body["content"])
        with units.write(environment, 0) as unit:
            unit.record("day.closed", "delay", {})
        assert verify(units.events(environment))[1] == []
