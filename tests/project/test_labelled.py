"""The label of one prediction, as the newest loads know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from nenrin.core.instants import HOUR, NEVER
from nenrin.data.declare import dataset
from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion
from nenrin.project.labelled import Closing, label_of
from nenrin.serving.masks import Masks
from nenrin.serving.prediction import Prediction
from nenrin.training.declare import Model, model

ASKED = 10 * HOUR  # in the block from 9 to 12; it closes two hours later
CLOSES = 14 * HOUR


@dataset(key=["shop", "id"], time="at")
def flights() -> None: ...


@dataset(key=["shop", "id"], time="landed")
def arrivals() -> None: ...


@dataset(key=["shop", "id"])
def customers() -> None: ...


@model(rows=flights, label=arrivals.late == "yes")
def delay(rows: Any) -> Any: ...


@model(rows=customers, label=customers.left == "yes")
def churn(rows: Any) -> Any: ...


class Data:
    """Frames of datasets, and that each was loaded twice."""

    def __init__(self, **frames: pl.DataFrame) -> None:
        self.frames = frames
        self.columns: dict[str, Any] = {}

    def latest(self, environment: str, name: str) -> DatasetVersion:
        return DatasetVersion(
            id=f"data-{name}",
            dataset=name,
            environment=environment,
            number=2,
            manifest="",
            rows=0,
            added=0,
            changed=0,
            unchanged=0,
            bound=0,
            at=0,
        )

    def frame(self, version: DatasetVersion, *, columns: list[str]) -> pl.DataFrame:
        self.columns[version.dataset] = columns
        return self.frames[version.dataset].select(*columns, "__event__", "__known__")


def frame(*rows: tuple[str, int, int], **columns: list[Any]) -> pl.DataFrame:
    """Rows of (id, event, known)."""
    ids, events, known = ([row[place] for row in rows] for place in range(3))
    return pl.DataFrame(
        {
            "shop": ["a|b"] * len(rows),
            "id": ids,
            "__event__": events,
            "__known__": known,
            **columns,
        },
        schema_overrides={"__event__": pl.Int64, "__known__": pl.Int64, "id": pl.String},
    )


FLIGHTS = frame(("1", 9 * HOUR, 0), ("7", ASKED, ASKED))


def ask(
    data: Data,
    key: str = r"a\|b|7",
    of: Model = delay,
    now: int = NEVER,
    masked: tuple[str, ...] = (),
    masks: Masks | None = None,
) -> dict[str, Any]:
    asked = Prediction(
        number=1,
        id="prediction-1",
        deployment="delay",
        version="version-1",
        variant=0,
        key=key,
        asked=ASKED,
        at=ASKED,
        answer=0.5,
        row={},
        features={},
        masked=masked,
    )
    closing = Closing(settle=2 * HOUR, now=now)
    return label_of(cast(DataService, data), "dev", of, asked, closing, masks or Masks(Path()))


def arrived(*told: tuple[int, str | None]) -> Data:
    rows = [("7", known, known) for known, _ in told]
    late = pl.Series([value for _, value in told], dtype=pl.String)
    return Data(flights=FLIGHTS, arrivals=frame(*rows).with_columns(late=late))


@pytest.mark.parametrize(
    ("known", "state", "says"),
    [
        (11 * HOUR, "in time", "3h before its block closed"),
        (CLOSES, "in time", "0s before its block closed"),
        (CLOSES + HOUR, "late", "1h after its block closed: it corrects reports"),
    ],
)
def test_a_label_came_in_time_or_late(known: int, state: str, says: str) -> None:
    told = ask(arrived((known, "yes")))
    assert (told["label"], told["state"]) == (1.0, state)
    assert told["says"].startswith(says)
    assert told["of"] == "arrivals.late == 'yes'"
    assert told["closes"] == "1970-01-01T14:00:00Z"
    assert told["from"] == {"dataset": "arrivals", "number": 2, "version": "data-arrivals"}


def test_a_hashed_part_of_a_key_finds_the_label(tmp_path: Path) -> None:
    masks = Masks(tmp_path)
    data, key = arrived((11 * HOUR, "yes")), {"shop": "a|b", "id": "7"}
    for rules in ({"id": "hash"}, {"shop": "hash"}, {"shop": "hash", "id": "hash"}):
        hashed = masks.key(r"a\|b|7", ["shop", "id"], key, rules)
        told = ask(data, hashed, masks=masks, masked=(*rules, "other"))
        assert (told["label"], told["state"], told["key"]) == (1.0, "in time", hashed)
        assert ask(data, r"a\|b|7", masks=masks, masked=tuple(rules))["state"] == "row not loaded"


def test_corrections_follow_the_first_label() -> None:
    told = ask(arrived((11 * HOUR, "yes"), (20 * HOUR, "no"), (21 * HOUR, None)))
    assert (told["label"], told["known"]) == (1.0, "1970-01-01T11:00:00Z")
    assert [each["label"] for each in told["corrections"]] == [0.0, None]
    assert told["state"] == "in time"


def test_no_label_yet_and_none_at_the_closing() -> None:
    assert ask(arrived(), now=CLOSES - 1)["state"] == "open"
    told = ask(arrived((11 * HOUR, None)), now=CLOSES)
    assert (told["label"], told["known"], told["state"]) == (None, None, "closed without")


def test_a_row_that_is_not_loaded() -> None:
    waiting = arrived((11 * HOUR, "yes"))
    waiting.frames["flights"] = frame(("1", 9 * HOUR, 0))
    told = ask(waiting)
    assert told["state"] == "row not loaded"
    assert "where its label waits for it: nenrin data load flights" in told["says"]
    assert "waits" not in ask(waiting, key="a|8")["says"]


def test_a_request_without_a_key() -> None:
    assert ask(arrived((11 * HOUR, "yes")), key="")["state"] == "no key"


def test_rows_without_a_time_have_no_closing() -> None:
    left = frame(("7", 0, 5)).with_columns(
        left=pl.Series(["yes"]), __event__=pl.lit(None, pl.Int64)
    )
    told = ask(Data(customers=left), of=churn)
    assert (told["label"], told["closes"], told["state"]) == (1.0, None, "known")


def test_only_what_is_needed_is_read() -> None:
    data = arrived((11 * HOUR, "yes"))
    ask(data)
    assert data.columns == {"flights": ["shop", "id"], "arrivals": ["shop", "id", "late"]}
