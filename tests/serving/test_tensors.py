"""Values and bytes of every datatype: what fits comes back the same, what does not is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nenrin.core.errors import RequestError
from nenrin.serving.plane.tensors import NUMBERS, listed, packed, unpacked

FITTING: list[tuple[str, list[Any]]] = [
    ("BOOL", [True, False]),
    ("INT8", [-128, 127]),
    ("INT16", [-(2**15), 2**15 - 1]),
    ("INT32", [-(2**31), 2**31 - 1]),
    ("INT64", [-(2**63), 2**63 - 1]),
    ("UINT8", [0, 255]),
    ("UINT16", [0, 2**16 - 1]),
    ("UINT32", [0, 2**32 - 1]),
    ("UINT64", [0, 2**64 - 1]),
    ("FP16", [0.5, -65504.0, math.inf]),
    ("FP32", [0.5, 3.4028234663852886e38, -math.inf]),
    ("FP64", [0.1, 1.7976931348623157e308, math.inf]),
    ("BYTES", ["", "é", "a" * 300]),
]


@pytest.mark.parametrize(("datatype", "values"), FITTING)
def test_what_fits_is_the_same_in_json_and_in_bytes(datatype: str, values: list[Any]) -> None:
    shape = [len(values)]
    assert listed("x", datatype, shape, values) == values
    raw = np.array(values, "?").tobytes() if datatype == "BOOL" else packed(datatype, values)
    assert unpacked("x", datatype, shape, raw) == values
    nested = [[value] for value in values]
    assert listed("x", datatype, [*shape, 1], nested) == values
    assert listed("x", datatype, [*shape, 1], values) == values


def test_values_are_rounded_to_their_datatype() -> None:
    (single,) = listed("x", "FP32", [1], [0.1])
    assert single == float(np.float32(0.1)) != 0.1
    assert listed("x", "FP16", [3], [0.1, None, 2]) == [float(np.float16(0.1)), None, 2.0]
    assert listed("x", "INT32", [2], [2.0, None]) == [2, None]


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", ""],
        ["v1", "v2", None],
        ["v1", "v2"],
        ["a" * 127] * 3,
        ["a" * 128] * 3,
        ["é1", "ab"],
        ["é", "ü"],
        ["a", "é"],
        ["\0", "\x7f"],
        [12, True],
    ],
)
def test_each_text_stands_behind_its_length(texts: list[Any]) -> None:
    plain = ["" if text is None else str(text) for text in texts]
    each = [len(text.encode()).to_bytes(4, "little") + text.encode() for text in plain]
    assert packed("BYTES", texts) == b"".join(each)


def test_nan_stays_nan() -> None:
    for datatype in ("FP16", "FP32", "FP64"):
        assert math.isnan(listed("x", datatype, [1], [math.nan])[0])
        assert math.isnan(unpacked("x", datatype, [1], packed(datatype, [math.nan]))[0])


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("INT8", 300),
        ("INT8", -129),
        ("INT32", 1.5),
        ("INT32", math.nan),
        ("INT64", math.inf),
        ("INT64", 2**63),
        ("UINT8", -1),
        ("UINT64", 2**64),
        ("FP16", 65520),
        ("FP32", 1e39),
        ("FP32", 2**2000),
        ("FP64", "1"),
        ("FP64", True),
        ("FP64", [1]),
        ("INT32", True),
        ("INT32", "1"),
        ("BOOL", 1),
        ("BOOL", "true"),
        ("BYTES", 1),
        ("BYTES", True),
        ("BYTES", {}),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(datatype: str, value: Any) -> None:
    fitting = {"BOOL": True, "BYTES": "x"}.get(datatype, 1)
    with pytest.raises(RequestError, match=r"input 'x', row 1: .* is not "):
        listed("x", datatype, [2], [fitting, value])


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2], [1]),
        ([1], [1, 2]),
        ([], [1]),
        ([], []),
        ([0], [1]),
        ([-1], [1]),
        ([2, 2], [1, 2, 3, 4]),
        ([1, 0], []),
        ([1, 2], [[1, 2]]),
        ([2, 1], [[1, 2]]),
        ([2, 1], [[1], 2]),
        ([2], [[1], [2]]),
        ([2, 1], [[[1]], [[2]]]),
        ([1] * 9, [1]),
        ([2**62] * 8, [1]),
    ],
)
def test_shape_and_data_must_agree(shape: list[int], data: list[Any]) -> None:
    with pytest.raises(RequestError):
        listed("x", "FP64", shape, data)


@pytest.mark.parametrize(
    ("datatype", "rows", "raw"),
    [
        *((datatype, 2, b"\0" * np.dtype(dtype).itemsize) for datatype, dtype in NUMBERS.items()),
        ("FP64", 1, b"\0" * 9),
        ("FP64", 0, b"\0"),
        ("BOOL", 1, b"\2"),
        ("BOOL", 2, b"\1"),
        ("BYTES", 1, b""),
        ("BYTES", 1, b"\1\0\0"),
        ("BYTES", 1, b"\2\0\0\0a"),
        ("BYTES", 1, b"\xff\xff\xff\xffa"),
        ("BYTES", 1, b"\1\0\0\0ab"),
        ("BYTES", 2, b"\1\0\0\0a"),
        ("BYTES", 1, b"\1\0\0\0\xff"),
        ("FP65", 1, b"\0"),
    ],
)
def test_bytes_of_another_size_are_refused(datatype: str, rows: int, raw: bytes) -> None:
    with pytest.raises(RequestError):
        unpacked("x", datatype, [rows], raw)
