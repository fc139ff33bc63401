"""Make the first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_RECORDS = (
    "alarms",
    "backtests",
    "dataset_versions",
    "deployments",
    "revisions",
    "verdicts",
    "versions",
)


def upgrade() -> None:
    """Make the ledger, the tables of records, and the three tables of another shape."""
    _ledger()
    for name in _RECORDS:
        _records(name)
    op.create_table(
        "aliases",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
    )
    op.create_table(
        "loop_states",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "step_results",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _ledger() -> None:
    op.create_table(
        "events",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("events_by_kind", "events", ["environment", "kind", "sequence"])
    op.create_index("events_by_subject", "events", ["environment", "subject", "sequence"])


def _records(name: str) -> None:
    op.create_table(
        name,
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True
        ),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("environment", "id", name=f"{name}_by_id"),
    )
    op.create_index(f"{name}_by_name", name, ["environment", "name", "position"])
