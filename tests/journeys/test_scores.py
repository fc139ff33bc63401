"""``nr.score``: new rows are answered on a schedule, once, whatever is killed in between."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import polars as pl
import pytest

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.errors import ConflictError, OvertakenError
from nenrin.core.instants import DAY, HOUR
from nenrin.core.leases import Ours
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.project import scoring
from tests.journeys.shell import CHURN, Shell, customers

START = 1_767_225_600_000_000  # 1 January 2026, UTC
SCORES = '\n\nnightly = nr.score(churned, every="1d", at="04:00", to="out/{day}.parquet")\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    customers(300).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN + SCORES)
    return tmp_path


def opened(folder: Path, calendar: SimulatedCalendar) -> Platform:
    platform = Platform(Settings.read(folder=folder, workers=0), calendar=calendar)
    platform.resume()
    return platform


def load(platform: Platform, folder: Path, rows: int, first: int) -> None:
    """Load the customers again, and ``rows`` new ones."""
    frame = pl.concat([customers(300), customers(30, seed=1, first=first).head(rows)])
    frame.write_csv(folder / "customers.csv")
    dataset = platform.projects.load().datasets["customers"]
    platform.data.load("dev", dataset, platform.calendar.now())


def keys(path: Path) -> list[str]:
    return pl.read_parquet(path)["customer_id"].to_list()


def test_new_rows_are_answered_once_a_day(folder: Path) -> None:
    calendar = SimulatedCalendar(START + 12 * HOUR)
    with opened(folder, calendar) as platform:
        (planned,) = platform.scores.planned("dev")
        assert (planned["name"], planned["when"]) == ("nightly", "every 1d at 04:00")
        assert platform.scores.status("dev") == platform.write_scores("dev") == []
        platform.projects.run("dev")
        (first,) = platform.write_scores("dev")
        assert (first["to"], first["rows"], first["answered"]) == (
            "out/2026-01-01.parquet",
            300,
            300,
        )
        found = pl.read_parquet(folder / first["to"])
        assert found.columns == ["row", "customer_id", "asked", "probability", "version"]
        assert set(found["version"]) == {platform.serving.show("dev", "churned").champion}

        calendar.move(START + 14 * HOUR)
        load(platform, folder, 20, 1000)
        assert platform.write_scores("dev") == []  # not due
        calendar.move(START + DAY + 5 * HOUR)
    with opened(folder, calendar) as platform:  # a restart changes nothing
        (second,) = platform.write_scores("dev")
        assert (second["to"], second["rows"]) == ("out/2026-01-02.parquet", 20)
        assert keys(folder / second["to"]) == [f"c{1000 + n:06d}" for n in range(20)]
        (told,) = platform.scores.status("dev")
        assert told["last"]["to"] == second["to"]
        assert told["next"] == START + 2 * DAY + 4 * HOUR
        events = platform.units.find("dev", kind="scores.written", subject="nightly")
        assert [event.body["rows"] for event in events] == [300, 20]
        calendar.move(START + 2 * DAY + 3 * HOUR)
        load(platform, folder, 25, 1000)
        calendar.move(START + 2 * DAY + 5 * HOUR)
        (third,) = platform.write_scores("dev")
        assert keys(folder / third["to"]) == [f"c{1000 + n:06d}" for n in range(20, 25)]
        calendar.move(START + 3 * DAY + 5 * HOUR)
        assert platform.write_scores("dev") == []  # no new rows


def test_what_was_cut_off_is_written_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = SimulatedCalendar(START + 12 * HOUR)
    with opened(folder, calendar) as platform:
        platform.projects.run("dev")

        def killed(path: Path) -> int:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(scoring, "_rows", killed)  # the file is there, its event is not
            with pytest.raises(KeyboardInterrupt):
                platform.write_scores("dev")
        (begun,) = (folder / ".nenrin" / "scores").rglob("*.parquet")
        rows = begun.read_bytes()
        before = (folder / "out" / "2026-01-01.parquet").stat().st_mtime_ns
        calendar.move(START + DAY + HOUR)
        (done,) = platform.write_scores("dev")
        assert done["to"] == "out/2026-01-01.parquet"
        assert (folder / done["to"]).stat().st_mtime_ns == before
        assert platform.write_scores("dev") == []
        begun.write_bytes(rows)  # as on a host that was cut off at it, and another one wrote them
        begun.with_suffix(".writing").touch()
        assert platform.write_scores("dev") == []
        assert not begun.exists()
        assert len(platform.units.find("dev", kind="scores.written")) == 1


def test_what_another_host_writes_meanwhile_is_told_of_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder, SimulatedCalendar(START + 12 * HOUR)) as platform:
        platform.projects.run("dev")
        done: list[dict[str, object]] = []

        def slow(path: Path) -> int:
            monkeypatch.undo()
            done.extend(platform.scores.write("dev"))
            return 300

        monkeypatch.setattr(scoring, "_rows", slow)
        with pytest.raises(OvertakenError, match="another host has written scores nightly"):
            platform.write_scores("dev")
        assert len(done) == len(platform.units.find("dev", kind="scores.written")) == 1


def test_they_end_when_their_lease_is_lost_and_go_on_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Losing:
        """Ours when the block begins, and not any more when it asks again."""

        def hold(self, name: str) -> AbstractContextManager[Ours]:
            turns = iter([True])
            return nullcontext(lambda: next(turns, False))

        def close(self) -> None:
            """Nothing is held."""

    with opened(folder, SimulatedCalendar(START + 12 * HOUR)) as platform:
        platform.projects.run("dev")
        with monkeypatch.context() as patched:
            patched.setattr(platform, "_leases", Losing())
            with pytest.raises(OvertakenError, match="could not be kept up"):
                platform.write_scores("dev")
        assert platform.units.find("dev", kind="scores.written") == []
        (done,) = platform.write_scores("dev")
        assert done["answered"] == 300


def test_a_file_that_is_there_is_left_alone(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "2026-01-01.parquet").write_text("mine")
    with opened(folder, SimulatedCalendar(START + 12 * HOUR)) as platform:
        platform.projects.run("dev")
        for _ in range(2):
            with pytest.raises(ConflictError, match="is there, and scores nightly"):
                platform.write_scores("dev")
        (folder / "out" / "2026-01-01.parquet").rename(folder / "mine")
        (done,) = platform.write_scores("dev")
        assert done["answered"] == 300


def test_the_commands_tell_of_it(folder: Path) -> None:
    shell = Shell(folder, {"NENRIN_WORKERS": "0"})
    assert "nightly" in shell.here("plan").out
    ran = shell.here("run", "--json").json
    (written,) = ran["scores"]
    assert (folder / written["to"]).exists()
    shown = shell.here("status").out
    assert written["to"] in shown
    (status,) = shell.here("status", "--json").json["scores"]
    assert status["last"]["rows"] == 300
    assert shell.here("run", "--json").json["scores"] == []
