"""PostgreSQL: all that is its own.

Each thread has a connection of its own, and those that only record events or work on jobs never wait for
each other. What reads state and then writes it takes the environment for itself until it commits, so that
there too what it reads is still true when it writes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine, create_engine, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError as ValueRefused
from sqlalchemy.exc import DBAPIError, OperationalError

from nenrin.backends.sql.ledger import Sealer
from nenrin.backends.sql.resting import ask_after_rest
from nenrin.backends.sql.schema import metadata
from nenrin.backends.sql.sealing import SealBehind
from nenrin.backends.sql.transaction import Transaction
from nenrin.core.errors import (
    DataError,
    MissingExtraError,
    NenrinError,
    NotFoundError,
    OvertakenError,
    UnavailableError,
)
from nenrin.core.leases import LEASE

# Who is silent is given up, by both ends, before a lease can have gone to another host: so what a host that
# is cut off had locked is free by then. Kernels would wait for two hours, and for a quarter of one where
# something was sent.
SILENCE = LEASE * 2 / 3
_ANOTHER_CAME_FIRST = frozenset(
    {"40001", "40P01", "23505"}  # not serialisable, deadlock, a key that is taken
)
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext(:name))")


class Postgres:
    """The ``Engines`` of one database of a server.

    Args:
        url: of the database.
        durable: ``False``: no commit waits for the disk (tests).

    Raises:
        MissingExtraError: the driver is not installed.
    """

    def __init__(self, url: URL, *, durable: bool) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError.of("psycopg", "postgres")
        url = url.set(drivername="postgresql+psycopg")
        waiting = "" if durable else "-c synchronous_commit=off"
        self.reader = _postgres_engine(
            url, "REPEATABLE READ", "-c default_transaction_read_only=on"
        )
        self.durable = _postgres_engine(url, "READ COMMITTED", waiting)
        self.relaxed = _postgres_engine(url, "READ COMMITTED", "-c synchronous_commit=off")
        self.sealer: Sealer = SealBehind(
            lambda limits: _postgres_engine(url, "READ COMMITTED", waiting, limits)
        )

    def prepare(self) -> None:
        """Whoever runs the server makes the database."""

    @contextmanager
    def turn(self, engine: Engine) -> Iterator[Transaction]:
        """A connection of one's own, where one is needed."""
        with ExitStack() as ends:
            yield Transaction(engine, lambda: ends.enter_context(engine.begin()))

    def alone(self, connection: Connection, name: str) -> None:
        """By a lock that the server takes back when the transaction ends, however it ends."""
        connection.execute(_ALONE, {"name": name})

    def count_on(self, connection: Connection) -> None:
        """A sequence of its own counts each column."""
        for table in metadata.sorted_tables:
            if "position" in table.c:
                column = table.c.position
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                highest = select(func.max(column)).scalar_subquery()
                connection.execute(select(func.setval(sequence, highest)))

    def explained(self, error: DBAPIError) -> NenrinError | None:
        """A server that is away, a change that came first, a database without state."""
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in _ANOTHER_CAME_FIRST:
            return OvertakenError(
                f"another change came first: {_line(error)}",
                hint="nothing of this one was written: do it again",
            )
        if isinstance(error, ValueRefused):
            return DataError(
                f"the database does not take a value: {_line(error)}",
                hint="PostgreSQL keeps no character zero in a text: leave it out",
            )
        if state == "42P01":  # there is no such table
            return NotFoundError(
                "there is no state in the database",
                hint="run `nenrin run` or `nenrin up` in the project's folder first",
            )
        # 25006: a standby, or a server that was told to take no writes
        if state == "25006" or error.connection_invalidated or isinstance(error, OperationalError):
            return UnavailableError(
                f"the database cannot be used: {_line(error)}",
                hint="look whether PostgreSQL runs and takes writes; what was acknowledged is kept, "
                "so look whether the last change is there, and do it again if not",
            )
        return None


def _line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


def _postgres_engine(url: URL, isolation: str, *options: str) -> Engine:
    own = dict(url.query)  # the user's stand last, and win
    theirs = own.pop("options", "")
    given = " ".join(
        [*_ends(SILENCE), *options, *([theirs] if isinstance(theirs, str) else theirs)]
    )
    engine = create_engine(
        url.set(query={**_gives_up(SILENCE), **own, "options": given}),
        isolation_level=isolation,
        pool_size=16,
        max_overflow=-1,
    )
    ask_after_rest(engine)
    return engine


def _gives_up(seconds: float) -> dict[str, str]:
    """Parameters of libpq: when we take the server for gone."""
    return {
        "connect_timeout": f"{max(2, round(seconds))}",
        "tcp_user_timeout": f"{round(seconds * 1000)}",  # something sent and not acknowledged
        **{f"keepalives_{name}": each for name, each in _probes(seconds).items()},
    }


def _ends(seconds: float) -> list[str]:
    """Options of the session: when the server takes us for gone."""
    probes = _probes(seconds).items()
    return [
        f"-c tcp_user_timeout={round(seconds * 1000)}",
        *(f"-c tcp_keepalives_{name}={each}" for name, each in probes),
    ]


def _probes(seconds: float) -> dict[str, str]:
    """Of a connection at rest: a probe after two fifths of the time, and three more until it is over."""
    interval = max(1, round(seconds / 5))
    return {"idle": f"{2 * interval}", "interval": f"{interval}", "count": "3"}
