from __future__ import annotations

import polars as pl
import pytest

from nenrin.core.errors import IntegrityError
from nenrin.features.archive import pack, unpack


def test_frames_and_header_come_back() -> None:
    frames = {"a": pl.DataFrame({"x": [1, None], "s": ["", None]}), "empty": pl.DataFrame()}
    data = pack({"n": 1}, frames)
    header, found = unpack(data, dict[str, int])
    assert header == {"n": 1}
    assert all(found[name].equals(frame) for name, frame in frames.items())
    assert data == pack({"n": 1}, frames)


@pytest.mark.parametrize("data", [b"", b"nothing", pack(1, {})])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        unpack(data, dict[str, int])
    assert caught.value.hint
