"""What a crash does to the files themselves: nothing that was acknowledged before the damage is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nenrin.backends.sql.copying import SqliteStates
from nenrin.backends.sql.database import Database
from nenrin.core.ledger import verify

UNITS = 40


class Written:
    """A database that was not closed, and how long its log was after each acknowledged unit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: list[int] = []
        self._database = Database(f"sqlite:///{folder / 'state.db'}")
        for number in range(UNITS):
            with self._database.write("dev", number) as unit:
                for part in range(1 + number % 3):
                    unit.record(
                        "step.finished", f"step {number}", {"part": part, "text": "x" * 300}
                    )
            self.acknowledged.append(self.log.stat().st_size)

    @property
    def log(self) -> Path:
        return self.folder / "state.db-wal"

    def copied(self, to: Path) -> Path:
        """The files as they lie on the disk, as after a loss of power."""
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        for name in ("state.db", "state.db-wal"):
            shutil.copyfile(self.folder / name, to / name)
        return to / "state.db-wal"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("torn"))


def _sound(folder: Path, written: Written, damaged_from: int) -> None:
    """Opens, is whole, and has every unit that was acknowledged before the damage, none of them in part."""
    url = f"sqlite:///{folder / 'state.db'}"
    with Database(url) as database:
        events = list(database.events("dev"))
        assert verify(events)[1] == []
        with database.write("dev", UNITS) as unit:
            unit.record("step.finished", "after", {})
    states = SqliteStates(url)
    assert states.check(states.path) == []
    subjects = [event.subject for event in events]
    whole = [
        f"step {number}" for number, size in enumerate(written.acknowledged) if size <= damaged_from
    ]
    found = list(dict.fromkeys(subjects))
    assert found[: len(whole)] == whole
    for number in range(len(found)):
        assert subjects.count(f"step {number}") == 1 + number % 3


@given(st.data())
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_log_that_was_cut_off(written: Written, tmp_path: Path, data: st.DataObject) -> None:
    size = written.acknowledged[-1]
    end = data.draw(st.integers(0, size))
    log = written.copied(tmp_path / "cut")
    with log.open("r+b") as file:
        file.truncate(end)
    _sound(log.parent, written, end)


@given(st.data())
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_log_whose_end_was_torn(written: Written, tmp_path: Path, data: st.DataObject) -> None:
    size = written.acknowledged[-1]
    start = data.draw(st.integers(32, size - 1))
    noise = data.draw(st.binary(min_size=1, max_size=600))
    log = written.copied(tmp_path / "torn")
    whole = bytearray(log.read_bytes())
    stop = min(size, start + len(noise))
    whole[start:stop] = bytes(byte ^ 0xA5 for byte in whole[start:stop])
    log.write_bytes(bytes(whole))
    _sound(log.parent, written, start)
