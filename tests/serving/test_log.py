from __future__ import annotations

import polars as pl
import pytest

from nenrin.core.digest import digest_bytes
from nenrin.core.errors import DataError, NotFoundError
from nenrin.serving.log import SCHEMA, PredictionLog

DAY = pl.DataFrame(
    {
        "key": ["a", "b", "a|b"],
        "asked": [1, 2, 3],
        "policy": ["loop", "loop", "never"],
        "version": ["v1", "v1", "v0"],
        "variant": [0, 1, 0],
        "cutoff": [-5, -5, -9],
        "p": [0.25, 0.5, 1.0],
    },
    schema=SCHEMA,
)


class Memory:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest_bytes(data)] = data
        return digest_bytes(data)

    def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise NotFoundError(digest)
        return self.kept[digest]


@pytest.fixture
def log() -> PredictionLog:
    return PredictionLog(Memory())  # type: ignore[arg-type]


def test_days_come_back_as_they_were_written(log: PredictionLog) -> None:
    first = log.write_day(DAY.select(reversed(DAY.columns)))
    second = log.write_day(DAY.head(0))
    assert (first.rows, second.rows) == (3, 0)
    assert log.read([second.content, first.content]).equals(DAY)
    assert log.read([]).equals(DAY.head(0))


@pytest.mark.parametrize("column", DAY.columns)
def test_the_digest_sees_every_value_and_the_order(log: PredictionLog, column: str) -> None:
    digest = log.write_day(DAY).digest
    flipped = {
        pl.String: pl.col(column) + "x",
        pl.Float64: pl.col(column) * (1 + 2**-52),
    }.get(type(DAY.schema[column]), pl.col(column) + 1)
    changed = DAY.with_columns(pl.when(pl.int_range(pl.len()) == 1).then(flipped).otherwise(column))
    assert changed.schema == DAY.schema or column in ("variant",)
    assert log.write_day(changed.cast(SCHEMA)).digest != digest
    assert log.write_day(DAY.reverse()).digest != digest
    assert log.write_day(DAY.rechunk()).digest == digest


def test_text_borders_are_part_of_the_digest(log: PredictionLog) -> None:
    shifted = DAY.with_columns(key=pl.Series(["ab", "", "a|b"]))
    moved = DAY.with_columns(key=pl.Series(["a", "b", "a|b"]))
    assert log.write_day(shifted).digest != log.write_day(moved).digest


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (DAY.drop("p"), "p"),
        (DAY.with_columns(pl.col("asked").cast(pl.Float64)), "'asked'"),
        (DAY.with_columns(p=pl.lit(None, pl.Float64)), "'p'"),
    ],
)
def test_a_wrong_frame_is_refused(log: PredictionLog, frame: pl.DataFrame, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        log.write_day(frame)
    assert "asked: Int64" in caught.value.hint
