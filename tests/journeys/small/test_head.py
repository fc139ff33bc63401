"""The head covers everything: one bit of data, model, verdict or answer, and it is another."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from nenrin.core.instants import DAY, HOUR, local_midnight
from nenrin.core.ledger import Event, seal
from nenrin.core.settings import Settings
from nenrin.gates.verdict import Verdict
from nenrin.loop import first, standing
from nenrin.loop.comparators import Comparator
from nenrin.loop.deployed import Deployed
from nenrin.loop.served import Answers
from nenrin.platform import Platform

ZONE = "America/New_York"
BEGIN, DAYS, A_DAY = date(2021, 1, 1), 90, 40
FROM = "2021-03-02"
LATE = local_midnight(date(2021, 3, 20), ZONE)  # two looks are left after it

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Played:
    """A replay: its head, its events, and the folder that it was played in."""

    head: str
    events: list[Event]
    folder: Path
    environment: str

    @property
    def plain(self) -> list[tuple[int, str, str, Any]]:
        return [(event.at, event.kind, event.subject, event.body) for event in self.events]


def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    random = np.random.default_rng(8)
    n = DAYS * A_DAY
    asked = np.sort(local_midnight(BEGIN, ZONE) + random.integers(0, DAYS * DAY, n))
    x = random.normal(size=n)
    yes = random.random(n) < 1 / (1 + np.exp(0.5 - x))
    told = asked + random.integers(HOUR, 5 * HOUR, n)
    ids = [f"q{number:05d}" for number in range(n)]
    utc = pl.Datetime("us", "UTC")
    questions = pl.DataFrame({"id": ids, "asked": pl.Series(asked).cast(utc), "x": x})
    answers = pl.DataFrame({"id": ids, "told": pl.Series(told).cast(utc), "yes": yes})
    return questions, answers


def play(
    folder: Path,
    *,
    questions: Change = lambda frame: frame,
    answers: Change = lambda frame: frame,
    code: Callable[[str], str] = lambda text: text,
) -> Played:
    folder.mkdir(exist_ok=True)
    text = Path(__file__).with_name("project.py").read_text()
    (folder / "project.py").write_text(code(text))
    asked, told = tables()
    questions(asked).write_parquet(folder / "questions.parquet")
    answers(told).write_parquet(folder / "answers.parquet")
    with Platform.open(Settings.read(folder=folder, workers=0)) as platform:
        report = platform.loop.backtest(from_=FROM)
        environment = f"backtest/{report['id']}"
        events = list(platform.units.events(environment))
        assert platform.audit.verify(environment).holds
    return Played(report["ledger_head"], events, folder, environment)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The replay that nothing was done to."""
    return play(tmp_path_factory.mktemp("small") / "plain")


def first_other(one: Played, other: Played) -> Event:
    """The first event that differs, the opening one aside: it names data versions and code."""
    assert one.head != other.head
    return next(
        b for a, b in zip(one.events[1:], other.events[1:], strict=False) if _told(a) != _told(b)
    )


def _told(event: Event) -> tuple[Any, ...]:
    return event.at, event.kind, event.subject, event.body


def test_the_same_again_has_the_same_head(plain: Played, tmp_path: Path) -> None:
    again = play(tmp_path / "again")
    assert again.head == plain.head
    assert [event.hash for event in again.events] == [event.hash for event in plain.events]
    kinds = {event.kind for event in plain.events}
    assert kinds >= {"look.taken", "verdict.given", "version.registered", "policies.answered"}


def test_one_bit_of_a_row(plain: Played, tmp_path: Path) -> None:
    def nudge(frame: pl.DataFrame) -> pl.DataFrame:
        x = frame["x"].to_numpy().copy()
        row = int(np.searchsorted(frame["asked"].to_physical().to_numpy(), LATE))
        x[row] = np.nextafter(x[row], 10)
        return frame.with_columns(x=x)

    other = play(tmp_path / "nudged", questions=nudge)
    found = first_other(plain, other)
    assert found.at >= LATE
    names = [event.body["data"] for event in (plain.events[0], other.events[0])]
    assert names[0]["answers"] == names[1]["answers"]
    assert names[0]["questions"] != names[1]["questions"]
    looks = [[e for e in p.events if e.kind == "version.registered"] for p in (plain, other)]
    changed = [b.at for a, b in zip(*looks, strict=True) if a.body["parents"] != b.body["parents"]]
    assert changed  # every fit that could know the row names other data, no fit before
    assert min(changed) == min(event.at for event in looks[0] if event.at > LATE)


def test_a_label(plain: Played, tmp_path: Path) -> None:
    def flip(frame: pl.DataFrame) -> pl.DataFrame:
        told = frame["told"].to_physical().to_numpy()
        row = int(np.flatnonzero(told > LATE)[0])
        yes = frame["yes"].to_list()
        yes[row] = not yes[row]
        return frame.with_columns(yes=pl.Series(yes))

    found = first_other(plain, play(tmp_path / "flipped", answers=flip))
    assert found.kind == "day.closed"
    assert found.at > LATE


def test_one_byte_of_a_model(plain: Played, tmp_path: Path) -> None:
    def mark(text: str) -> str:
        return text.replace("LogisticRegression()", "LogisticRegression(verbose=False)")

    other = play(tmp_path / "marked", code=mark)
    found = first_other(plain, other)
    assert found.kind == "version.registered"
    losses = [[e.body["loss"] for e in p.events if e.kind == "day.closed"] for p in (plain, other)]
    assert losses[0] == losses[1]  # it answers the same


def test_one_bit_of_a_verdict(
    plain: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = standing.judge

    def nudged(**given: Any) -> Verdict:
        verdict = judge(**given)
        numbers = dict(verdict.numbers)
        numbers["rows"] = float(np.nextafter(numbers["rows"], np.inf))
        return msgspec.structs.replace(verdict, numbers=numbers) if given["at"] > LATE else verdict

    monkeypatch.setattr(standing, "judge", nudged)
    monkeypatch.setattr(first, "judge", nudged)
    found = first_other(plain, play(tmp_path / "nudged"))
    assert found.kind == "verdict.given"
    assert found.at > LATE


def test_one_bit_of_a_days_answers(
    plain: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Deployed.served

    def nudged(self: Deployed, lo: int, hi: int, *, raw: bool = False) -> Answers:
        return _nudged(served(self, lo, hi, raw=raw), self.ground.table.asked[lo:hi])

    monkeypatch.setattr(Deployed, "served", nudged)
    found = first_other(plain, play(tmp_path / "nudged"))
    assert (found.kind, found.subject) == ("day.closed", "2021-03-20")


def test_one_bit_of_another_policys_answers(
    plain: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Comparator.answer

    def nudged(self: Comparator, lo: int, hi: int) -> Answers:
        found = answer(self, lo, hi)
        monthly = self.policy.name == "monthly_all"
        return _nudged(found, self._ground.table.asked[lo:hi]) if monthly else found

    monkeypatch.setattr(Comparator, "answer", nudged)
    other = play(tmp_path / "nudged")
    found = first_other(plain, other)
    assert (found.kind, found.subject) == ("policies.answered", "2021-03-20")
    before = next(e for e in plain.events if (e.kind, e.subject) == (found.kind, found.subject))
    assert [name for name in before.body if before.body[name] != found.body[name]] == [
        "monthly_all"
    ]


def _nudged(answers: Answers, asked: np.ndarray) -> Answers:
    """The same answers, one of the twentieth of March moved by one bit."""
    p = answers.p.copy()
    rows = np.flatnonzero((asked >= LATE) & (asked < LATE + DAY))[:1]
    p[rows] = np.nextafter(p[rows], 1)
    return msgspec.structs.replace(answers, p=p)


def test_a_cut_gives_the_beginning(plain: Played, tmp_path: Path) -> None:
    def until(name: str) -> Change:
        return lambda frame: frame.filter(pl.col(name).dt.epoch("us") < LATE)

    other = play(tmp_path / "cut", questions=until("asked"), answers=until("told"))
    before = [told for told in plain.plain[1:] if told[0] < LATE]
    assert [told for told in other.plain[1:] if told[0] < LATE] == before
    assert len(before) > 50


TOUCH = {
    "changed": ["set body = json_set(body, '$.more', 1) where sequence = 40"],
    "moved": ["set at = at + 1 where sequence = 40"],
    "renamed": ["set subject = subject || '.' where sequence = 40"],
    "removed": ["set environment = 'elsewhere' where sequence = 40"],
    "swapped": [
        "set sequence = 999 where sequence = 40",
        "set sequence = 40 where sequence = 41",
        "set sequence = 41 where sequence = 999",
    ],
}


@pytest.mark.parametrize("what", TOUCH)
def test_the_audit_finds_an_event_that_somebody_touched(
    plain: Played, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / what
    shutil.copytree(plain.folder, folder)
    database = sqlite3.connect(folder / ".nenrin" / "state.db")
    with database:
        for change in TOUCH[what]:
            done = database.execute(
                f"update events {change} and environment = ?", [plain.environment]
            )
            assert done.rowcount == 1
    database.close()
    with Platform.open(Settings.read(folder=folder, workers=0)) as platform:
        (found,) = platform.audit.verify(plain.environment).chains
        assert not found.holds
        assert found.breaks[0].sequence == 40
        assert platform.audit.verify("dev").holds


def test_the_head_is_sealed_over_every_body(plain: Played) -> None:
    """A changed body anywhere gives another head, when all that follows is sealed anew."""
    for place in range(0, len(plain.events), 17):
        events: list[Event] = []
        for number, event in enumerate(plain.events):
            body = {**event.body, "more": 1} if number == place else event.body
            previous = events[-1].hash if events else "0" * 64
            events.append(
                seal(
                    previous,
                    environment="elsewhere",
                    sequence=event.sequence,
                    at=event.at,
                    kind=event.kind,
                    subject=event.subject,
                    body=body,
                )
            )
        assert events[-1].hash != plain.head
        assert [e.hash for e in events[:place]] == [e.hash for e in plain.events[:place]]
