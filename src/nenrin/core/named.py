"""Which content is named: by the state, or by content that is named itself.

Digests are looked for as text, in whatever a table or a blob holds, so that no room has to say where it keeps
them, and nothing that a newer room writes is overlooked. Too much may be found, never too little: the files
of tables (Parquet, Arrow) and archives are compressed, hold people's rows, and name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set

from nenrin.core.errors import IntegrityError, NotFoundError
from nenrin.core.store import ContentStore

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CLOSED = (b"PAR1", b"ARROW1", b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_OVERLAP = 65  # a digest that two chunks share, and the letter before it


def digests_in(data: bytes) -> set[str]:
    """Every digest that is written in ``data``: 64 small hexadecimal digits on their own."""
    return {found.decode() for found in _DIGEST.findall(data)}


def reached(
    names: Iterable[str],
    store: ContentStore,
    known: Set[str] = frozenset(),
    *,
    lenient: bool = False,
) -> set[str]:
    """The content of ``store`` that ``names`` name, and what that names in turn.

    Args:
        names: digests, of content or of other things.
        store: where content is looked for.
        known: what was reached before, and need not be walked again; part of the result.
        lenient: content that has changed names nothing.

    Raises:
        IntegrityError: content that is named has changed, so that what it named is not known.
    """
    found: set[str] = set(known)
    there = set(store.digests())  # one list: to a store far away each question is a journey
    waiting = (set(names) & there) - found
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            named = _named_by(store.chunks(name))
        except NotFoundError:
            continue  # it was there a moment ago
        except IntegrityError:
            if not lenient:
                raise
            continue
        waiting |= (named & there) - found
    return found


def _named_by(chunks: Iterator[bytes]) -> set[str]:
    named: set[str] = set()
    before = next(chunks, b"")
    if before.startswith(_CLOSED):
        return named
    while before:
        after = next(chunks, b"")
        # the end of this chunk is read again with the next one, which shows where its digest ends
        named |= digests_in(before + after[:_OVERLAP])
        before = before[-_OVERLAP:] + after if after else b""
    return named
