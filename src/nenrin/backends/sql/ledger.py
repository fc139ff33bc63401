"""The ledger's table: sealing what a unit recorded, and reading it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, Row, Select, insert, select

from nenrin.backends.sql.schema import events
from nenrin.core.digest import canonical
from nenrin.core.errors import IntegrityError
from nenrin.core.ledger import GENESIS, Event, seal

_FIELDS = Event.__struct_fields__

Recorded = tuple[str, str, bytes]
"""An event not yet sealed: its kind, its subject, its body in canonical bytes."""


class Sealer(Protocol):
    """Gives recorded events their sequence and hash, in the order of commits.

    Where one process writes, that can happen in the writing transaction. Where many write, it would
    make them wait for each other, and one lease-holder seals behind them.
    """

    def seal(
        self, connection: Connection, environment: str, at: int, recorded: Sequence[Recorded]
    ) -> None:
        """Take over what a unit recorded, in its transaction and just before it commits."""
        ...


class SealInTransaction:
    """Seals at once, in a transaction that excludes all others that write (BEGIN IMMEDIATE)."""

    def seal(
        self, connection: Connection, environment: str, at: int, recorded: Sequence[Recorded]
    ) -> None:
        """Add the events to the end of the environment's chain."""
        sequence, previous = head(connection, environment)
        rows = []
        for kind, subject, body in recorded:
            sequence += 1
            event = seal(
                previous,
                environment=environment,
                sequence=sequence,
                at=at,
                kind=kind,
                subject=subject,
                body=msgspec.json.decode(body),
            )
            previous = event.hash
            rows.append({**msgspec.structs.asdict(event), "body": body.decode()})
        connection.execute(insert(events), rows)


def recorded(kind: str, subject: str, body: dict[str, Any]) -> Recorded:
    """An event as it is at this moment, whatever happens to ``body`` later.

    Raises:
        TypeError: the body holds something that is not a plain value, or a key that is no text.
    """
    return kind, subject, canonical(body)


def head(connection: Connection, environment: str) -> tuple[int, str]:
    """Sequence and hash of the newest event; ``(0, GENESIS)`` before the first."""
    row = connection.execute(
        select(events.c.sequence, events.c.hash)
        .where(events.c.environment == environment)
        .order_by(events.c.sequence.desc())
        .limit(1)
    ).first()
    return (row.sequence, row.hash) if row else (0, GENESIS)


def page(
    connection: Connection,
    environment: str,
    *,
    after: int = 0,
    kind: str | None = None,
    subject: str | None = None,
    limit: int | None = None,
    newest: bool = False,
) -> list[Event]:
    """Events of an environment in order: the first ``limit`` of them, or the ``newest``."""
    column = events.c.sequence
    query: Select[Any] = select(*(events.c[name] for name in _FIELDS)).where(
        events.c.environment == environment, column > after
    )
    if kind is not None:
        query = query.where(events.c.kind == kind)
    if subject is not None:
        query = query.where(events.c.subject == subject)
    query = query.order_by(column.desc() if newest else column).limit(limit)
    found = [_event(row) for row in connection.execute(query)]
    return found[::-1] if newest else found


def environments(connection: Connection) -> list[str]:
    """Every environment that has events, sorted."""
    column = events.c.environment
    return list(connection.execute(select(column).distinct().order_by(column)).scalars())


def _event(row: Row[Any]) -> Event:
    try:
        fields = {**dict(zip(_FIELDS, row, strict=True)), "body": msgspec.json.decode(row.body)}
        # SQLite keeps whatever it is given, a text where a number belongs too
        return msgspec.convert(fields, Event)
    except (msgspec.MsgspecError, TypeError) as error:
        raise IntegrityError(
            f"event {row.sequence} of {row.environment} cannot be read: {error}",
            hint="restore the database from a backup; `nenrin audit verify` checks the rest",
            where=f"{row.environment}/{row.sequence}",
        ) from error
