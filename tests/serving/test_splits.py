"""The short way of ``dataframe_split`` reads what the long way would have read, or leaves it to that."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.errors import RequestError
from nenrin.features.entities import Lookup
from nenrin.serving.plane import invocations, splits
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.signature import RequestSignature
from nenrin.training.records import Records

KINDS = {"n": pl.Float64(), "k": pl.Int64(), "t": pl.String(), "b": pl.Boolean()}
SIGNATURE = RequestSignature.of(KINDS, known={**KINDS, "id": pl.Int64()}, key=("id",), output="p")
BY_KEY = RequestSignature.of(
    KINDS,
    known={**KINDS, "id": pl.Int64()},
    key=("id",),
    output="p",
    lookup=Lookup(columns=tuple(KINDS)),
)

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.sampled_from([1.0, 0, 1, -0.0, 2.0**53, "", "x", "é\u2028", "1"]),
    st.text(max_size=3),
)
NAMES = st.lists(st.sampled_from(["n", "k", "t", "b", "id", "other"]), max_size=6)


def long(body: bytes, reader: RowReader) -> Records | str:
    served: Any = SimpleNamespace(reader=reader)
    try:
        return invocations._rows(invocations.decoded(body, invocations._decoder, "", ""), served)
    except RequestError as error:
        return error.message


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    names = draw(NAMES)
    if draw(st.booleans()):
        kinds = {
            "n": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            "k": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            "t": st.one_of(st.none(), st.text(max_size=3)),
            "b": st.one_of(st.none(), st.booleans()),
        }
        names = draw(st.permutations(["n", "k", "t", "b"]))
        row = st.tuples(*(kinds[name] for name in names))
    else:
        row = st.lists(VALUES, min_size=len(names), max_size=len(names)).map(tuple)
    rows = draw(st.lists(row, max_size=3))
    split = {"columns": names, "data": rows}
    return json.dumps({"dataframe_split": split}, ensure_ascii=draw(st.booleans())).encode(
        errors="replace"
    )


@pytest.mark.parametrize("signature", [SIGNATURE, BY_KEY], ids=["plain", "by key"])
@given(body=bodies())
@settings(max_examples=200, deadline=None)
def test_both_ways_read_the_same(signature: RequestSignature, body: bytes) -> None:
    reader = RowReader(signature)
    short = splits.read(body, reader)
    if short is not None:
        found = long(body, reader)
        assert isinstance(found, Records)
        assert found.gaps == short.gaps
        assert repr(list(map(sorted_row, found))) == repr(list(map(sorted_row, short)))


@pytest.mark.parametrize("signature", [SIGNATURE, BY_KEY], ids=["plain", "by key"])
def test_a_column_that_comes_twice_is_refused(signature: RequestSignature) -> None:
    split = {"columns": ["t", "n", "k", "b", "n"], "data": [["x", 1, 2, True, 3]]}
    body = json.dumps({"dataframe_split": split}).encode()
    assert long(body, RowReader(signature)) == "the column 'n' comes twice"
    assert splits.read(body, RowReader(signature)) is None


def sorted_row(row: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(row.items())


@pytest.mark.parametrize(
    ("split", "plain"),
    [
        ({"columns": ["t", "n", "k", "b"], "data": [["x", 1, 2, True], [None] * 4]}, True),
        ({"columns": ["t", "n", "k", "b"], "data": [["x", 1, 2, True]], "index": [7]}, True),
        ({"columns": ["id", "t", "n", "k", "b"], "data": [[1, "x", 1.5, 2, True]]}, True),
        ({"columns": ["t", "n", "k"], "data": [["x", 1, 2]]}, False),
        ({"columns": ["t", "n", "k", "b", "other"], "data": [["x", 1, 2, True, 1]]}, False),
        ({"columns": ["t", "n", "k", "b", "b"], "data": [["x", 1, 2, True, True]]}, False),
        ({"columns": ["t", "n", "k", "b"], "data": [["x", 1, 2]]}, False),
        ({"columns": ["t", "n", "k", "b"], "data": [["x", 1, 2, 1]]}, False),
        ({"columns": ["t", "n", "k", "b"], "data": []}, False),
        ({"columns": ["id"], "data": [[1]]}, False),
    ],
)
def test_what_goes_the_short_way(split: dict[str, Any], plain: bool) -> None:
    body = json.dumps({"dataframe_split": split}).encode()
    found = splits.read(body, RowReader(BY_KEY))
    assert (found is not None) == plain
    if found is not None:
        assert found.nulls == (() if "id" in split["columns"] else ("id",))
    assert splits.read(body[:-1] + b',"instances":[]}', RowReader(BY_KEY)) is None
