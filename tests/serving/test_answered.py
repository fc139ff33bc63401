"""An answered request comes back from its line as if it had been written row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nenrin.serving.answered import AnsweredRequest, encode, predictions_of
from nenrin.serving.livelog import LiveLog
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Member, Variant
from nenrin.serving.segments import counted, predictions_in
from nenrin.training.records import LEFT_OUT, Records
from tests.serving.logging_here import answered


def spelled(request: AnsweredRequest) -> list[Prediction]:
    """What readers saw when every prediction was a line."""
    lines = map(msgspec.json.encode, predictions_of(request))
    return [msgspec.json.decode(line, type=Prediction) for line in lines]


BLOCK = np.array([[1.0, -0.0], [np.nan, 1e300], [5e-324, 0.1]])
TUPLES: list[tuple[Any, ...]] = [(1.0, "\n"), (None, None), (0.1, "x")]
COLUMNS = {"a": [1, None, 3], "b": ["é\n", "", None], "c": [0.1, None, 2.5]}


@pytest.mark.parametrize(
    "rows",
    [
        Records.of_block(("a", "b"), BLOCK),
        Records.of_block(("a", "b"), np.asfortranarray(BLOCK), ("id", "at")),
        Records.of_tuples(("a", "b"), TUPLES, ("id",)),
        Records.of_tuples(
            ("a", "b"), TUPLES, ("id",), b'[[1.0,"\\n"],\n[null,null],\r\n[0.1,"x"]]'
        ),
        Records(COLUMNS, 3),
        Records({"a": [1, LEFT_OUT, 3], "b": [LEFT_OUT, "x", None]}, 3, gaps=True),
        [{"a": 1, "b": None}, {"a": 2}, {}],
    ],
    ids=["numbers", "numbers and nulls", "tuples", "text", "columns", "left out", "dicts"],
)
@pytest.mark.parametrize("seen", [None, ("b", "a"), "dicts"])
def test_rows_come_back(tmp_path: Path, rows: Any, seen: Any) -> None:
    log = LiveLog(tmp_path)
    said: dict[str, Any] = {"rows": rows, "features": None}
    if seen == "dicts":
        said["features"] = [{"far": True}, {"far": None}, {"far": 0.1}]
    elif seen is not None and isinstance(rows, Records) and not rows.gaps:
        said["seen"] = seen
    request = answered(log, 3, **said)
    line = encode(request)
    assert b"\n" not in line
    assert counted([line]) == 3
    assert predictions_in(line) == spelled(request)
    log.close()


def test_who_answered_and_when_comes_back(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    mixed = Variant(version="m", members=(Member("s", "v1", 0.5), Member("t", "v2", 0.5)))
    request = answered(
        log,
        3,
        variants=(mixed, Variant(version="v3"), Variant(version="constant"), Variant(version="v0")),
        picked=[0, -1, -2],
        dealt=[0, 1, 1],
        asked=[5, 6, 7],
        keys=["", "a", "b"],
        values=[0.5, "high", 1e-9],
        ages=[{"sky": 1.5}, {"sky": None}, {}],
        forced=True,
    )
    found = predictions_in(encode(request))
    assert found == spelled(request)
    assert [(each.version, each.variant, each.instead_of) for each in found] == [
        ("m", 0, ""),
        ("v0", -1, "v3"),
        ("constant", -2, "v3"),
    ]
    assert [each.asked for each in found] == [5, 6, 7]
    assert [each.number for each in found] == [1, 2, 3]
    log.close()


def test_what_all_rows_share_is_not_written(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    request = answered(log, 2, picked=(), keys=(), asked=())
    line = encode(request)
    assert not any(name in line for name in (b"picked", b"dealt", b"keys", b"asked", b"ages"))
    assert predictions_in(line) == spelled(request)
    assert {(each.variant, each.key, each.asked) for each in predictions_in(line)} == {(0, "", 6)}
    log.close()


ODD = {"a": [np.inf, None], "b": [-np.inf, 0.1], "c": ["é\n\x7f", None]}
ODD_ROWS = [{name: values[row] for name, values in ODD.items()} for row in range(2)]


@pytest.mark.parametrize(
    "rows",
    [
        Records.of_block(("a", "b"), np.array([[np.inf, -np.inf], [np.nan, 0.1]]), ("c",)),
        Records(ODD, 2),
        Records({**ODD, "d": [LEFT_OUT, 1]}, 2, gaps=True),
        ODD_ROWS,
    ],
    ids=["numbers", "columns", "left out", "dicts"],
)
def test_infinities_come_back_as_they_were(tmp_path: Path, rows: Any) -> None:
    log = LiveLog(tmp_path)
    line = encode(answered(log, 2, rows=rows, features=None))
    assert (b"\n" in line, counted([line])) == (False, 2)
    assert [each.row for each in predictions_in(line)] == list(rows)
    log.close()


def test_infinities_among_features_come_back_beside_the_text_of_a_body(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    rows = Records.of_tuples(("a", "b"), TUPLES[:2], (), b'[[1.0,"\\n"],[null,null]]')
    for features in (ODD_ROWS, Records(ODD, 2)):
        found = predictions_in(encode(answered(log, 2, rows=rows, features=features)))
        assert [each.features for each in found] == ODD_ROWS
        assert [each.row for each in found] == list(rows)
    log.close()


def test_a_nan_that_is_no_null_comes_back(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    line = encode(answered(log, 2, rows=[{"a": np.float64("nan")}, {"a": None}], features=None))
    assert str([each.row for each in predictions_in(line)]) == "[{'a': nan}, {'a': None}]"
    log.close()


def test_a_masked_prediction_keeps_its_infinities(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    [plain] = predictions_of(answered(log, rows=[{"a": -np.inf}], features=[{"far": np.inf}]))
    assert predictions_in(encode(plain)) == [plain]
    log.close()


@pytest.mark.parametrize(
    "wrong",
    [
        (b'"size":2', b'"size":3'),
        (b'"names":["a","b"]', b'"names":["a"]'),
        (b'"block":"', b'"block":"!'),
    ],
)
def test_a_damaged_line_is_passed_over(tmp_path: Path, wrong: tuple[bytes, bytes]) -> None:
    log = LiveLog(tmp_path)
    rows = Records.of_block(("a", "b"), BLOCK[:2])
    line = encode(answered(log, 2, rows=rows, features=None))
    assert len(predictions_in(line)) == 2
    assert predictions_in(line.replace(*wrong)) == []
    log.close()
