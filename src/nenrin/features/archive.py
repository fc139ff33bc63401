"""A header and frames as one run of bytes, the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

import msgspec
import polars as pl

from nenrin.core.errors import IntegrityError

Header = TypeVar("Header")


class _Headed(msgspec.Struct, frozen=True):
    header: msgspec.Raw


class _Archive(msgspec.Struct, frozen=True):
    header: msgspec.Raw
    frames: dict[str, bytes]


def pack(header: Any, frames: Mapping[str, pl.DataFrame]) -> bytes:
    """The archive of a header that msgspec can write, and of frames as compressed Arrow files."""
    written = {name: _ipc(frame) for name, frame in frames.items()}
    encoded = msgspec.Raw(msgspec.msgpack.encode(header))
    return msgspec.msgpack.encode(_Archive(encoded, written))


def header(data: bytes | memoryview, kind: type[Header]) -> Header:
    """The header of what :func:`pack` packed, without its frames.

    Raises:
        IntegrityError: as :func:`unpack`.
    """
    try:
        return msgspec.msgpack.decode(msgspec.msgpack.decode(data, type=_Headed).header, type=kind)
    except msgspec.MsgspecError as error:
        raise _unreadable(error) from error


def unpack(data: bytes, kind: type[Header]) -> tuple[Header, dict[str, pl.DataFrame]]:
    """What :func:`pack` packed.

    Raises:
        IntegrityError: these are not the bytes of an archive with such a header.
    """
    try:
        archive = msgspec.msgpack.decode(data, type=_Archive)
        header = msgspec.msgpack.decode(archive.header, type=kind)
        frames = {name: pl.read_ipc(BytesIO(stored)) for name, stored in archive.frames.items()}
    except (msgspec.MsgspecError, pl.exceptions.PolarsError) as error:
        raise _unreadable(error) from error
    return header, frames


def _unreadable(error: Exception) -> IntegrityError:
    return IntegrityError(
        f"stored features cannot be read: {error}", hint="build them again: nenrin run"
    )


def _ipc(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.rechunk().write_ipc(buffer, compression="zstd")
    return buffer.getvalue()
