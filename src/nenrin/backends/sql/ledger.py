"""The ledger's table: sealing what a unit recorded, and reading it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Row,
    Select,
    bindparam,
    exists,
    insert,
    select,
    union,
    union_all,
    update,
)

from nenrin.backends.sql import schema
from nenrin.backends.sql.schema import events, heads, metadata, unsealed
from nenrin.backends.sql.transaction import Transaction
from nenrin.core.digest import canonical
from nenrin.core.errors import IntegrityError
from nenrin.core.ledger import GENESIS, Event, Kept, chained

_FIELDS = Event.__struct_fields__
_STATE = [
    table
    for table in metadata.sorted_tables
    if "environment" in table.c and table not in (events, heads, unsealed)
]
# what is written only together with an event of which it is the subject
_TOLD = [
    schema.backtests.c.id,
    schema.dataset_versions.c.name,
    schema.deployments.c.id,
    schema.revisions.c.id,
    schema.verdicts.c.id,
    schema.versions.c.id,
]

# made once: making a statement costs as much as running it
_NOTED = select(heads).where(heads.c.environment == bindparam("name"))
_NEWEST: dict[str, Any] = {"sequence": bindparam("newest"), "hash": bindparam("its_hash")}
_NOTE_AGAIN = update(heads).where(heads.c.environment == bindparam("name")).values(_NEWEST)
_WAITING = select(unsealed.c.environment, unsealed.c.events)
_NOTE = insert(heads).values({"environment": bindparam("name"), **_NEWEST})

Recorded = tuple[int, str, str, bytes]
"""An event not yet sealed: its instant, its kind, its subject, its body in canonical bytes."""


Add = Callable[[Connection, list[dict[str, Any]]], None]
"""Adds rows to the ledger's table."""

_QUEUED = msgspec.json.Decoder(list[tuple[int, str, str, msgspec.Raw]])


class Sealer(Protocol):
    """Gives recorded events their sequence and hash, in the order of commits.

    Where one process writes, that happens in the writing transaction. Where many write, it would make
    them wait for each other, and one holder of a lease seals behind them
    (:mod:`nenrin.backends.sql.sealing`).
    """

    def hand_over(
        self, transaction: Transaction, environment: str, recorded: Sequence[Recorded]
    ) -> None:
        """Take over what a unit recorded, in its transaction and just before it commits."""
        ...

    def committed(self) -> None:
        """A transaction that handed events over has ended."""
        ...

    def catch_up(self) -> None:
        """Return when everything that this process committed can be read."""
        ...

    def close(self) -> None:
        """End what seals."""
        ...


class SealInTransaction:
    """Seals at once, in a transaction that excludes all others that write (BEGIN IMMEDIATE)."""

    def hand_over(
        self, transaction: Transaction, environment: str, recorded: Sequence[Recorded]
    ) -> None:
        """Add the events to the end of the environment's chain, and note the new end."""
        append(transaction.connection, environment, recorded)

    def committed(self) -> None:
        """They were sealed with it."""

    def catch_up(self) -> None:
        """Nothing is behind."""

    def close(self) -> None:
        """Nothing goes on."""


def add_each(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add rows to the ledger's table, one after the other."""
    connection.execute(insert(events), rows)


def append(
    connection: Connection, environment: str, recorded: Sequence[Recorded], add: Add = add_each
) -> None:
    """Add events to the end of an environment's chain, and note the new end; nobody else may meanwhile.

    The chain goes on from the end that was noted: where events were cut off, a gap stays.
    """
    noted = connection.execute(_NOTED, {"name": environment}).first()
    sequence, previous = _noted(noted) if noted else head(connection, environment)
    rows = []
    for at, kind, subject, body in recorded:
        sequence += 1
        previous = chained(previous, sequence, at, kind, subject, body)
        rows.append(
            {
                "environment": environment,
                "sequence": sequence,
                "at": at,
                "kind": kind,
                "subject": subject,
                "body": body.decode(),
                "hash": previous,
            }
        )
    add(connection, rows)
    connection.execute(
        _NOTE_AGAIN if noted else _NOTE,
        {"name": environment, "newest": sequence, "its_hash": previous},
    )


def recorded(at: int, kind: str, subject: str, body: dict[str, Any]) -> Recorded:
    """An event as it is at this moment, whatever happens to ``body`` later.

    Raises:
        TypeError: the body holds something that is not a plain value, or a key that is no text.
    """
    return at, kind, subject, canonical(body)


def queued(recorded: Sequence[Recorded]) -> str:
    """The events of a unit as a text, for the queue."""
    rows = [(at, kind, subject, msgspec.Raw(body)) for at, kind, subject, body in recorded]
    return msgspec.json.encode(rows).decode()


def unqueued(events: str) -> list[Recorded]:
    """The events behind a text of the queue."""
    return [(at, kind, subject, bytes(body)) for at, kind, subject, body in _QUEUED.decode(events)]


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
) -> list[Row[Any]]:
    """Rows of an environment in order, for :func:`read`: the first ``limit`` of them, or the ``newest``."""
    column = events.c.sequence
    query: Select[Any] = select(*(events.c[name] for name in _FIELDS)).where(
        events.c.environment == environment, column > after
    )
    if kind is not None:
        query = query.where(events.c.kind == kind)
    if subject is not None:
        query = query.where(events.c.subject == subject)
    query = query.order_by(column.desc() if newest else column).limit(limit)
    found = list(connection.execute(query))
    return found[::-1] if newest else found


def environments(connection: Connection) -> list[str]:
    """Every environment that has events, sorted."""
    found = connection.execute(select(events.c.environment).distinct()).scalars()
    return sorted(found)  # not by the database, whose order of letters may be another


def kept(connection: Connection) -> dict[str, Kept]:
    """What the tables beside the ledger say of each environment."""
    rows = union(*(select(table.c.environment) for table in _STATE))
    untold: dict[str, list[str]] = {name: [] for name in connection.execute(rows).scalars()}
    waiting = {
        (environment, subject)
        for environment, recorded in connection.execute(_WAITING)
        for _, _, subject, _ in unqueued(recorded)
    }
    for environment, name in connection.execute(union_all(*map(_untold, _TOLD))):
        if (environment, name) not in waiting:
            untold[environment].append(name)
    noted = {row.environment: _noted(row) for row in connection.execute(select(heads))}
    return {
        name: Kept(
            *noted.get(name, (0, GENESIS)), rows=name in untold, untold=tuple(untold.get(name, ()))
        )
        for name in sorted(noted.keys() | untold)
    }


def _untold(column: Column[Any]) -> Select[Any]:
    table = column.table
    told = exists().where(events.c.environment == table.c.environment, events.c.subject == column)
    return select(table.c.environment, column).where(~told)


def _noted(row: Row[Any]) -> tuple[int, str]:
    if type(row.sequence) is not int or type(row.hash) is not str:
        raise IntegrityError(
            f"the note of the newest event of {row.environment} cannot be read",
            hint="restore the database from a backup",
            where=row.environment,
        )
    return row.sequence, row.hash


def read(row: Row[Any]) -> Event:
    """The event of a row.

    Raises:
        IntegrityError: it is not what was sealed.
    """
    try:
        body = msgspec.json.decode(row.body)
        # other texts give the same values: two members of one name, a blank more
        if canonical(body).decode() != row.body:
            raise TypeError("its body is not written as it was sealed")
        fields = {**dict(zip(_FIELDS, row, strict=True)), "body": body}
        # SQLite keeps whatever it is given, a text where a number belongs too
        return msgspec.convert(fields, Event)
    except (msgspec.MsgspecError, TypeError) as error:
        raise IntegrityError(
            f"event {row.sequence} of {row.environment} cannot be read: {error}",
            hint="restore the database from a backup; `nenrin audit verify` checks the rest",
            where=f"{row.environment}/{row.sequence}",
        ) from error
