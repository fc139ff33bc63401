"""Streams to measure the loop on: project folders, each with a project file and the data that it loads.

Three are the flights of 2013: as they were, without their outcome features, and with their days shuffled.
One is the footfall example. The others are drawn with a seed. A drawn row has three numbers, a group and an
hour; its label follows one concept, or another, or a blend of the two that moves with the days. Rows of one
day share an effect that nobody can know, and days follow days; one label in fifty never comes. Model,
recipes, refresh and canary are the text of the flights example in every stream but the footfall, which is
its own example: no constant is changed for any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from nenrin.core.instants import DAY, HOUR, MINUTE
from nenrin.data.samples import nycflights13
from nenrin.project.init import write_example

SEED = 20_230_101
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
YEAR = 365
ZONE = "America/New_York"
GROUPS = 12
UNANSWERED = 0.02  # of the labels
DAY_SD, DAY_PERSISTENCE = 0.3, 0.5  # of the effect that a day's rows share, in logits
NOISE = 4.0  # sd of an amount around what is expected of it
UNIT, MIDDLE = 4.0, 20.0  # an amount a logit, and an amount at logit 0
NIGHT = 0.2  # rows of an hour from 22 to 6, of those of an hour of the day
WEEKEND = 0.6  # rows of a day of the weekend, of those of another day

FILES = """import nenrin as nr
from lightgbm import LGBMClassifier

flights = nr.file("flights.parquet", key="flight_id", time="sched_dep", tz="America/New_York")
arrivals = nr.file("arrivals.parquet", key="flight_id", time="landed_at", known="30m")
weather = nr.file("weather.parquet", key=["origin", "observed_at"], time="observed_at", known="30m")

"""
DRAWN = """import nenrin as nr
from lightgbm import LGBMClassifier

questions = nr.file("questions.parquet", key="id", time="asked")
answers = nr.file("answers.parquet", key="id", time="told")

@nr.feature_view(questions)
def said(q):
    return {"x1": q.x1, "x2": q.x2, "x3": q.x3, "group": q.group, "hour": q.asked.hour}

"""


@dataclass(frozen=True)
class Stream:
    """A project folder that can be written.

    Attributes:
        name: what it is asked for by.
        title: what is told of it.
        write: writes it into an empty folder.
    """

    name: str
    title: str
    write: Callable[[Path], None]


@dataclass(frozen=True)
class Concept:
    """How a row's logit comes from its columns.

    Attributes:
        base: the logit of a row of zeros.
        x1, x2, both, x3, hour: of the numbers, of the product of the first two, of a third number above
            a half, and of the time of day.
        seed: of the effects of the groups.
    """

    base: float
    x1: float
    x2: float
    both: float
    x3: float
    hour: float
    seed: int

    def logits(self, rows: pl.DataFrame) -> np.ndarray:
        """Of every row."""
        x1, x2, x3 = (rows[name].to_numpy() for name in ("x1", "x2", "x3"))
        groups = np.random.default_rng(self.seed).normal(0.0, 0.6, GROUPS)
        clock = 2 * np.pi * rows["asked"].dt.hour().to_numpy() / 24
        return (
            self.base
            + self.x1 * x1
            + self.x2 * x2
            + self.both * x1 * x2
            + self.x3 * (x3 > 0.5)
            + self.hour * np.sin(clock)
            + groups[rows["group"].str.slice(1).cast(pl.Int64).to_numpy()]
        )


FIRST = Concept(base=-1.0, x1=0.9, x2=0.5, both=0.3, x3=0.6, hour=0.4, seed=1)
SECOND = Concept(base=-0.7, x1=0.2, x2=0.9, both=-0.3, x3=-0.2, hour=0.4, seed=2)


def suddenly(day: np.ndarray) -> np.ndarray:
    """Part of the second concept: none up to the end of June, all from then on."""
    return np.where(day < 181, 0.0, 1.0)


def slowly(day: np.ndarray) -> np.ndarray:
    """Part of the second concept: none in the first two months, then more by the same every day."""
    return np.clip((day - 60) / (YEAR - 60), 0.0, 1.0)


@dataclass(frozen=True)
class Drawn:
    """A stream that is drawn.

    Attributes:
        rows_a_day: on average.
        change: number of a day since the beginning to the part of the second concept, 0 to 1.
        answered_after: microseconds from a row to its label, at least.
        number: of the stream, in its seed.
        amounts: whether labels are numbers instead of yes and no.
    """

    rows_a_day: int
    change: Callable[[np.ndarray], np.ndarray]
    number: int
    answered_after: int = 30 * MINUTE
    amounts: bool = False

    def write(self, folder: Path, days: int = YEAR) -> None:
        """Write the project file, ``questions.parquet`` and ``answers.parquet``."""
        random = np.random.default_rng([SEED, self.number])
        questions = self._questions(random, days)
        self._answers(random, questions, days).write_parquet(folder / "answers.parquet")
        questions.write_parquet(folder / "questions.parquet")
        text = _tail().replace("delay", "answer")
        words = "rows=flights, label=arrivals.late, features=[sky, recent, trip]"
        label = "answers.amount" if self.amounts else "answers.yes"
        text = changed(text, words, f"rows=questions, label={label}, features=[said]")
        text = DRAWN + text
        if self.amounts:
            text = changed(text, "LGBMClassifier", "LGBMRegressor")
            text = changed(text, 'metric="log_loss"', 'metric="rmse"')
        (folder / "project.py").write_text(text)

    def _questions(self, random: np.random.Generator, days: int) -> pl.DataFrame:
        weekday = (np.arange(days) + BEGIN.weekday()) % 7
        busy = np.where(weekday < 5, 1.0, WEEKEND) * 7 / (5 + 2 * WEEKEND)
        per_day = random.poisson(self.rows_a_day * busy)
        day = np.repeat(np.arange(days), per_day)
        hours = np.where((np.arange(24) < 6) | (np.arange(24) >= 22), NIGHT, 1.0)
        hour = random.choice(24, len(day), p=hours / hours.sum())
        since = np.sort(day * DAY + hour * HOUR + random.integers(0, HOUR, len(day)))
        shifts = _days(random, days)[since // DAY]
        begin = int(BEGIN.timestamp()) * 1_000_000
        return pl.DataFrame(
            {
                "id": [f"q{number:06d}" for number in range(len(since))],
                "asked": pl.Series(begin + since).cast(pl.Datetime("us", "UTC")),
                "x1": random.normal(size=len(since)) + shifts,
                "x2": random.normal(size=len(since)),
                "x3": random.normal(size=len(since)),
                "group": [f"g{number}" for number in random.integers(0, GROUPS, len(since))],
            }
        )

    def _answers(
        self, random: np.random.Generator, questions: pl.DataFrame, days: int
    ) -> pl.DataFrame:
        asked = questions["asked"].cast(pl.Int64).to_numpy()
        day = _day_of(asked)
        part = self.change(day)
        logits = (1 - part) * FIRST.logits(questions) + part * SECOND.logits(questions)
        logits = logits + _days(random, days)[day]
        n = len(questions)
        if self.amounts:
            label = pl.Series("amount", MIDDLE + UNIT * logits + NOISE * random.normal(size=n))
        else:
            label = pl.Series("yes", random.random(n) < 1 / (1 + np.exp(-logits)))
        told = asked + self.answered_after + random.exponential(HOUR, n).astype(np.int64)
        comes = random.random(n) >= UNANSWERED
        frame = pl.DataFrame(
            {"id": questions["id"], "told": pl.Series(told).cast(pl.Datetime("us", "UTC"))}
        )
        return frame.with_columns(label).filter(pl.Series(comes))


def _day_of(asked: np.ndarray) -> np.ndarray:
    return (asked - int(BEGIN.timestamp()) * 1_000_000) // DAY


def _days(random: np.random.Generator, days: int) -> np.ndarray:
    """An effect a day, of sd ``DAY_SD``, each like the one before it."""
    fresh = random.normal(0.0, DAY_SD * np.sqrt(1 - DAY_PERSISTENCE**2), days)
    effects = np.zeros(days)
    for day in range(days):
        before = effects[day - 1] if day else 0.0
        effects[day] = DAY_PERSISTENCE * before + fresh[day]
    return effects


def changed(text: str, old: str, new: str) -> str:
    """The text with something put in the place of something that must be there."""
    if old not in text:
        raise SystemExit(f"the flights example does not say {old!r} any more: mend streams.py")
    return text.replace(old, new)


def _example() -> str:
    return (Path(__file__).parents[1] / "examples" / "flights" / "project.py").read_text()


def _tail(mark: str = "# model:") -> str:
    """The flights example from a comment on."""
    _, found, rest = _example().partition(mark)
    if not found:
        raise SystemExit(f"the flights example has no {mark!r} any more: mend streams.py")
    return found + rest


def flights(folder: Path) -> None:
    """The flights example as it is."""
    write_example(folder, "flights")


def flights_weak(folder: Path) -> None:
    """The flights example without the view over what has landed."""
    text = _example()
    begin = text.index("@nr.feature_view(arrivals")
    end = text.index("@nr.feature_view(flights)")
    text = changed(text[:begin] + text[end:], "[sky, recent, trip]", "[sky, trip]")
    (folder / "project.py").write_text(text)


def flights_shuffled(folder: Path) -> None:
    """The flights example over files in which the days of 2013 stand in another order."""
    random = np.random.default_rng([SEED, 0])
    first = date(2013, 1, 1)
    days = pl.date_range(first, date(2013, 12, 31), eager=True)
    moves = pl.DataFrame({"day": days, "by": random.permutation(len(days)) - np.arange(len(days))})
    plan = _moved(nycflights13("flights"), "sched_dep", moves)
    plan.drop("was").write_parquet(folder / "flights.parquet")
    _landed(nycflights13("arrivals"), plan).write_parquet(folder / "arrivals.parquet")
    local = pl.col("observed_at").dt.convert_time_zone(ZONE).dt.replace_time_zone(None)
    sky = _moved(nycflights13("weather").with_columns(local), "observed_at", moves)
    instant = pl.col("observed_at").dt.replace_time_zone(
        ZONE, ambiguous="earliest", non_existent="null"
    )
    sky = (
        sky.with_columns(instant.dt.convert_time_zone("UTC")).drop("was").drop_nulls("observed_at")
    )
    sky = sky.unique(["origin", "observed_at"], keep="first", maintain_order=True)
    sky.write_parquet(folder / "weather.parquet")
    (folder / "project.py").write_text(FILES + _tail("# features:"))


def _moved(frame: pl.DataFrame, time: str, moves: pl.DataFrame) -> pl.DataFrame:
    """With every naive time on the day that its day was moved to; ``was`` keeps the old one."""
    named = frame.with_columns(was=pl.col(time), day=pl.col(time).dt.date())
    joined = named.join(moves, on="day", how="inner", maintain_order="left")
    return joined.with_columns(pl.col(time) + pl.duration(days="by")).drop("day", "by")


def _landed(arrivals: pl.DataFrame, plan: pl.DataFrame) -> pl.DataFrame:
    """Arrivals as long after the moved departures as they were after the true ones."""

    def utc(name: str) -> pl.Expr:
        local = pl.col(name).dt.replace_time_zone(ZONE, ambiguous="earliest")
        return local.dt.convert_time_zone("UTC")

    both = arrivals.join(
        plan.select("flight_id", "sched_dep", "was"), on="flight_id", maintain_order="left"
    )
    landed = utc("sched_dep") + (pl.col("landed_at") - utc("was"))
    return both.with_columns(landed_at=landed).drop("sched_dep", "was")


def footfall(folder: Path) -> None:
    """The footfall example as it is."""
    write_example(folder, "footfall")


DRAWS = {
    "few": Drawn(100, slowly, 1),
    "sudden": Drawn(300, suddenly, 2),
    "slow": Drawn(300, slowly, 3),
    "late": Drawn(300, slowly, 4, answered_after=14 * DAY),
    "regression": Drawn(300, slowly, 5, amounts=True),
}
STREAMS = {
    stream.name: stream
    for stream in (
        Stream("flights", "2013: the flights as they were", flights),
        Stream("flights_weak", "2013 without the outcome features", flights_weak),
        Stream("flights_shuffled", "2013 with its days shuffled", flights_shuffled),
        Stream("few", "drawn, 100 rows a day, a slow change", DRAWS["few"].write),
        Stream("sudden", "drawn, a sudden change", DRAWS["sudden"].write),
        Stream("slow", "drawn, a slow change", DRAWS["slow"].write),
        Stream("late", "drawn, a slow change, labels 14 days late", DRAWS["late"].write),
        Stream("regression", "drawn, amounts, a slow change", DRAWS["regression"].write),
        Stream("footfall", "the footfall example, people an hour", footfall),
    )
}
