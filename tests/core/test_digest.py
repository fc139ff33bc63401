"""Digests and derived ids."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.digest import canonical, derived_id, digest, digest_arrays, digest_bytes

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), plain, max_size=4), st.data())
def test_the_order_of_keys_does_not_matter(value: dict[str, object], data: st.DataObject) -> None:
    keys = data.draw(st.permutations(list(value)))
    assert digest({key: value[key] for key in keys}) == digest(value)


def test_is_blake3() -> None:
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest_bytes(b"") == digest_bytes(memoryview(b"")) == empty


def test_canonical_is_short_json() -> None:
    assert canonical({"b": [1, 0.1, None], "a": "é"}) == '{"a":"é","b":[1,0.1,null]}'.encode()


@pytest.mark.parametrize("value", [object(), {1: "key"}, [{"a": 1j}]])
def test_refuses_what_is_not_plain(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_one_bit_is_another_digest() -> None:
    values = np.arange(8.0)
    changed = values.copy()
    changed.view(np.uint8)[17] ^= 1
    assert digest_arrays(values) != digest_arrays(changed)


def test_dtype_shape_and_order_are_in_the_digest() -> None:
    values = np.zeros(4, dtype=np.int64)
    others = [values.astype(np.uint64), values.reshape(2, 2), values[:3]]
    digests = {digest_arrays(array) for array in (values, *others)}
    assert len(digests) == 4
    one, two = np.array([1]), np.array([2])
    assert len({digest_arrays(one, two), digest_arrays(two, one), digest_arrays(one)}) == 3


def test_layout_in_memory_is_not() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert digest_arrays(values) == digest_arrays(np.asfortranarray(values))
    assert digest_arrays(values[:, 1]) == digest_arrays(values[:, 1].copy())
    assert digest_arrays(np.empty(0)) == digest_arrays(np.empty(0))


def test_ids_are_short_and_the_same_in_every_process() -> None:
    code = (
        "from nenrin.core.digest import derived_id;"
        "print(derived_id('run', {'b': 1, 'a': [0.1]}, 'x'))"
    )
    here = derived_id("run", {"a": [0.1], "b": 1}, "x")
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here
    assert here.startswith("run-")
    assert len(here) == len("run-") + 12
    assert derived_id("step", {"a": [0.1], "b": 1}, "x")[5:] != here[4:]
