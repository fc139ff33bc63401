"""Every table. A change here needs a migration in ``migrations/versions``, which a test asks for.

Records are kept as JSON bodies beside the few columns that are searched; ``position`` is the order
in which they were written. Only the ledger has columns for everything, since everything is in its
hash.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite counts rows by itself only in a column that is declared INTEGER
_Position = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("events_by_kind", "environment", "kind", "sequence"),
    Index("events_by_subject", "environment", "subject", "sequence"),
)


# the newest event of each chain, written with it: events cut off the ledger's end leave it behind
heads = Table(
    "heads",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

# what units have committed and has no place in the chain yet, a row a unit; always empty on SQLite
unsealed = Table(
    "unsealed",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("events", Text, nullable=False),
)


def _records(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("position", _Position, primary_key=True),
        Column("environment", Text, nullable=False),
        Column("id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("body", Text, nullable=False),
        UniqueConstraint("environment", "id", name=f"{name}_by_id"),
        Index(f"{name}_by_name", "environment", "name", "position"),
    )


backtests = _records("backtests")
dataset_versions = _records("dataset_versions")
deployments = _records("deployments")
revisions = _records("revisions")
verdicts = _records("verdicts")
versions = _records("versions")

aliases = Table(
    "aliases",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("version", Text, nullable=False),
)

loop_states = Table(
    "loop_states",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("deployment", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# of what one of many processes does by itself: who, until when by the database's clock, seconds since 1970
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Float, nullable=False),
)

# the cache of steps: a key names everything a result depends on, so environments share results
step_results = Table(
    "step_results",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

# what changes of a job has columns, so that an attempt ends with one statement; the rest is its body.
# rank is the priority turned round: the queue's order is then the index's
jobs = Table(
    "jobs",
    metadata,
    Column("position", _Position, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("run", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("ready", Float, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("until", Float, nullable=False),
    Column("output", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("jobs_by_state", "state", "rank", "position"),
    Index("jobs_by_run", "run", "position"),
)
