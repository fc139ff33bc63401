"""Note the newest event of each chain beside the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of heads, from the events that are there."""
    op.create_table(
        "heads",
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO heads SELECT environment, sequence, hash FROM events AS event WHERE sequence ="
        " (SELECT max(sequence) FROM events WHERE environment = event.environment)"
    )
