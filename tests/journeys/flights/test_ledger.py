"""The ledger of a replay: the same head for any workers and hash seed, a beginning where data is cut."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.core.errors import NenrinError
from nenrin.core.instants import local_midnight
from nenrin.core.ledger import Event, verify
from nenrin.project.init import write_example
from tests.journeys.flights.conftest import FROM, UNTIL, Replayed
from tests.journeys.shell import environment

REPLAY = Path(__file__).with_name("replay.py")
CUT = date(2013, 4, 30)


def replay(
    folder: Path, *, workers: int, seed: str, start: str = "", until: str = ""
) -> dict[str, Any]:
    """A replay in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, str(REPLAY), str(folder), str(workers), start, until],
        env={**environment(), "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def cut_project(folder: Path, end: date) -> None:
    """The flights example, its loaders giving only what had happened before a day of New York's."""
    folder.mkdir(exist_ok=True)
    write_example(folder, "flights")
    path = folder / "project.py"
    text = path.read_text()
    for name, time in (
        ("flights", "sched_dep"),
        ("arrivals", "landed_at"),
        ("weather", "observed_at"),
    ):
        text = text.replace(
            f'nr.samples.nycflights13("{name}")',
            f'cut(nr.samples.nycflights13("{name}"), "{time}")',
        )
    head = (
        "import polars as pl\nfrom datetime import datetime\nfrom zoneinfo import ZoneInfo\n"
        f"END = datetime({end.year}, {end.month}, {end.day}, tzinfo=ZoneInfo('America/New_York'))\n"
        "def cut(frame, time):\n"
        "    at = pl.col(time)\n"
        "    if frame.schema[time].time_zone is None:\n"
        '        at = at.dt.replace_time_zone("America/New_York", ambiguous="earliest")\n'
        '    return frame.filter(at.dt.convert_time_zone("America/New_York") < END)\n'
    )
    first, rest = text.split("\n", 1)
    path.write_text(f"{first}\n{head}{rest}")


def test_workers_hash_seeds_and_runs_give_the_same_head(tmp_path: Path) -> None:
    heads = set()
    for workers, seed in ((1, "1"), (2, "2")):
        folder = tmp_path / f"{workers}-{seed}"
        cut_project(folder, date(2013, 2, 20))
        heads.add(replay(folder, workers=workers, seed=seed, start="2013-02-05")["head"])
    heads.add(replay(folder, workers=2, seed="3", start="2013-02-05")["head"])
    assert len(heads) == 1


def test_data_that_is_cut_gives_the_beginning(replayed: Replayed, tmp_path: Path) -> None:
    cut_project(tmp_path, CUT)
    said = replay(tmp_path, workers=2, seed="0")
    short = said["events"]
    end = local_midnight(CUT, "America/New_York")
    whole = [
        [event.at, event.kind, event.subject, event.body]
        for event in replayed.platform.units.events(f"backtest/{replayed.report['id']}")
    ]
    before = [event for event in json.loads(json.dumps(whole))[1:] if event[0] < end]
    assert [event for event in short[1:] if event[0] < end] == before
    assert len(before) > 60
    assert {"look.taken", "version.registered", "verdict.given", "day.closed"} <= {
        event[1] for event in before
    }
    cpu = said["cpu"]  # of fits, predictions and everything else, against what the system counted
    assert sum(cpu[part] for part in ("fit", "predict", "platform")) == pytest.approx(
        said["tree"], rel=0.03
    )


def chain(replayed: Replayed) -> list[Event]:
    return list(replayed.platform.units.events(f"backtest/{replayed.report['id']}"))


def test_the_chain_holds(replayed: Replayed) -> None:
    head, breaks = verify(chain(replayed))
    assert (head, breaks) == (replayed.report["ledger_head"], [])
    audited = replayed.platform.audit.verify(f"backtest/{replayed.report['id']}")
    assert audited.holds


@pytest.mark.parametrize(
    "kind",
    ["backtest.opened", "version.registered", "verdict.given", "day.closed", "policies.answered"],
)
def test_one_bit_of_anything_digested_breaks_the_chain(replayed: Replayed, kind: str) -> None:
    events = chain(replayed)
    place = next(i for i, event in enumerate(events) if event.kind == kind)
    for name, value in _digests(events[place].body):
        body = json.loads(json.dumps(events[place].body))
        _put(body, name, f"{int(value[:1], 16) ^ 1:x}{value[1:]}")
        changed = [*events]
        changed[place] = msgspec.structs.replace(events[place], body=body)
        assert [broken.sequence for broken in verify(changed)[1]] == [place + 1], name


def test_every_day_and_every_version_is_under_the_head(replayed: Replayed) -> None:
    events = chain(replayed)
    days = [e for e in events if e.kind == "day.closed"]
    assert [e.subject for e in days] == sorted({e.subject for e in days})
    answered = [e.body for e in events if e.kind == "policies.answered"]
    assert len(answered) == len(days)
    assert all(len(body) == 4 for body in answered)
    registered = {e.subject for e in events if e.kind == "version.registered"}
    assert registered >= set(replayed.predictions["version"].unique())
    parents = [p for e in events if e.kind == "version.registered" for p in e.body["parents"]]
    assert {p.split(":")[1] for p in parents if p.startswith("data:")} == {
        "flights",
        "arrivals",
        "weather",
    }


def test_another_run_has_the_same_head_and_stores_no_data(replayed: Replayed) -> None:
    before = set(replayed.platform.store.digests())
    again = replayed.platform.loop.backtest(from_=FROM, until=UNTIL)
    assert again["ledger_head"] == replayed.report["ledger_head"]
    assert again["id"] != replayed.report["id"]
    assert again["cost"]["fits"] == 0
    versions = replayed.platform.data.versions("dev")
    assert len(versions) == 3
    files = {f.digest for v in versions for f in replayed.platform.data.manifest(v).files}
    assert files <= before
    assert len(files) > 3 * 360  # a file a day of what became known then, each once
    assert set(replayed.platform.store.digests()) == before  # nor anything else


def test_rows_without_history_are_refused(replayed: Replayed) -> None:
    with pytest.raises(NenrinError, match="less than 28 days"):
        replayed.platform.loop.backtest(from_="2013-01-15")
    with pytest.raises(NenrinError, match="not a fault"):
        replayed.platform.loop.backtest(inject=["flood:2013-05-01"])


def _digests(body: Any, name: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """Every text of 64 hexadecimal digits in an event's body, with its place."""
    if isinstance(body, dict):
        return [found for key, part in body.items() for found in _digests(part, (*name, key))]
    if isinstance(body, str) and len(body) == 64 and not set(body) - set("0123456789abcdef"):
        return [(name, body)]
    return []


def _put(body: Any, name: tuple[Any, ...], value: str) -> None:
    for key in name[:-1]:
        body = body[key]
    body[name[-1]] = value
