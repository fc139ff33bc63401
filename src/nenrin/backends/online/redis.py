"""The online store in Redis or Valkey: for planes on several machines.

A space is one hash: it is read, and taken away, in one command, and a server that evicts takes all of it
or nothing. A field holds eight bytes of version, most significant first, and the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from nenrin.core.errors import MissingExtraError, RequestError, UnavailableError
from nenrin.features.ports import Entry

_PREFIX = "nenrin:"
_VERSION = 8  # bytes
_BATCH = 500  # entries of one command: the server answers nobody else meanwhile
_BYTES = 1_000_000
_SECONDS = 1.0  # to wait for the server: whoever asks waits as long

# Lua's numbers are doubles, so that a version is compared in two halves.
_PUT = """
local written = 0
for i = 1, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  local newer = true
  if stored then
    local oldHigh, oldLow = struct.unpack('>I4I4', stored)
    local high, low = struct.unpack('>I4I4', ARGV[i + 1])
    newer = high > oldHigh or (high == oldHigh and low > oldLow)
  end
  if newer then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return written
"""


class RedisOnlineStore:
    """An ``OnlineStore`` in one database of a Redis or Valkey server.

    Args:
        url: ``redis://[[user]:password@]host:port/database``; ``rediss://`` with TLS, ``unix://PATH``.

    Raises:
        RequestError: the address is none.
        MissingExtraError: the client is not installed.
    """

    def __init__(self, url: str) -> None:
        self._where = _shown(url)
        self._client = _client(url, self._where)
        self._put = self._client.register_script(_PUT)

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        """Write what is newer; how many entries were."""
        return sum(self._put_batch(space, batch) for batch in _batches(entries))

    def _put_batch(self, space: str, batch: list[bytes]) -> int:
        return int(self._asked(lambda: self._put(keys=[_PREFIX + space], args=batch)))

    def get_many(self, space: str, keys: Sequence[bytes]) -> list[tuple[int, bytes] | None]:
        """Version and value of every key, by one command."""
        if not keys:
            return []
        found = self._asked(lambda: self._client.hmget(_PREFIX + space, keys))
        return [None if stored is None else _split(stored) for stored in found]

    def scan(self, space: str) -> Iterator[Entry]:
        """Every entry of a space."""
        cursor, seen = 0, set[bytes]()
        while True:
            cursor, page = self._page(space, cursor)
            for key in page.keys() - seen:  # the server may show one twice
                yield (key, *_split(page[key]))
            seen |= page.keys()
            if not cursor:
                return

    def _page(self, space: str, cursor: int) -> tuple[int, dict[bytes, bytes]]:
        found: tuple[int, dict[bytes, bytes]] = self._asked(
            lambda: self._client.hscan(_PREFIX + space, cursor, count=_BATCH)
        )
        return found

    def drop(self, space: str) -> None:
        """Take a space away."""
        self._asked(lambda: self._client.unlink(_PREFIX + space))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, command: Callable[[], Any]) -> Any:
        import redis

        try:
            return command()
        except (redis.RedisError, OSError) as error:
            raise UnavailableError(
                f"the online store does not answer: {error}",
                where=self._where,
                hint="see that it runs and has room; what is missing in it comes back by itself",
            ) from error


def _batches(entries: Iterable[Entry]) -> Iterator[list[bytes]]:
    """Fields and what they are to hold, in turns, as much as one command should bring."""
    batch: list[bytes] = []
    size = 0
    for key, version, value in entries:
        batch += [key, version.to_bytes(_VERSION, "big") + value]
        size += len(key) + len(value)
        if len(batch) >= 2 * _BATCH or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _split(stored: bytes) -> tuple[int, bytes]:
    return int.from_bytes(stored[:_VERSION], "big"), stored[_VERSION:]


def _shown(url: str) -> str:
    """The address without who asks: it is in errors and logs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _client(url: str, shown: str) -> Any:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise MissingExtraError.of("redis", "redis") from None
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 1),  # a connection that the server closed is opened again
            decode_responses=False,
        )
    except ValueError as error:
        raise RequestError(
            f"this is no address of an online store: {error}",
            where=shown,
            hint="write redis://HOST:PORT/DATABASE, or sqlite",
        ) from None
