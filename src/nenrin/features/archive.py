"""A header, arrays and frames as one run of bytes, the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import IntegrityError

Header = TypeVar("Header")


class _Array(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Archive(msgspec.Struct, frozen=True):
    header: msgspec.Raw
    arrays: dict[str, _Array]
    frames: dict[str, bytes]


def pack(
    header: Any, arrays: Mapping[str, np.ndarray[Any, Any]], frames: Mapping[str, pl.DataFrame]
) -> bytes:
    """The archive of a header that msgspec can write, of arrays and of frames."""
    packed = {name: _Array(a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}
    written = {name: _ipc(frame) for name, frame in frames.items()}
    encoded = msgspec.Raw(msgspec.msgpack.encode(header))
    return msgspec.msgpack.encode(_Archive(encoded, packed, written))


def unpack(
    data: bytes, kind: type[Header]
) -> tuple[Header, dict[str, np.ndarray[Any, Any]], dict[str, pl.DataFrame]]:
    """What :func:`pack` packed; arrays are read-only.

    Raises:
        IntegrityError: these are not the bytes of an archive with such a header.
    """
    try:
        archive = msgspec.msgpack.decode(data, type=_Archive)
        header = msgspec.msgpack.decode(archive.header, type=kind)
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"stored features cannot be read: {error}", hint="build them again: nenrin run"
        ) from error
    arrays = {
        name: np.frombuffer(a.data, dtype=a.dtype).reshape(a.shape)
        for name, a in archive.arrays.items()
    }
    frames = {name: pl.read_ipc(BytesIO(stored)) for name, stored in archive.frames.items()}
    return header, arrays, frames


def _ipc(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.rechunk().write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()
