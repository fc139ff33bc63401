"""The online store that a setting names."""

from __future__ import annotations

from pathlib import Path

from nenrin.backends.online.redis import RedisOnlineStore
from nenrin.backends.online.sqlite import SqliteOnlineStore
from nenrin.core.errors import RequestError


def open_online(
    named: str, state_folder: Path, *, reads_only: bool = False
) -> SqliteOnlineStore | RedisOnlineStore | None:
    """The store, which is not asked yet; None where none is named.

    Args:
        named: ``sqlite`` (``facts.db`` in the state folder), the address of a server, or nothing.
        state_folder: the ``.nenrin`` of the folder.
        reads_only: for a process that never puts.

    Raises:
        RequestError: it is neither.
        MissingExtraError: the client is not installed.
    """
    if not named:
        return None
    if named == "sqlite":
        return SqliteOnlineStore(state_folder / "facts.db", reads_only=reads_only)
    if named.startswith(("redis://", "rediss://", "unix://")):
        return RedisOnlineStore(named)
    raise RequestError(
        "the setting online names no store",
        where="NENRIN_ONLINE",
        hint="write sqlite, or redis://HOST:PORT/DATABASE; unset it for features in memory",
    )
