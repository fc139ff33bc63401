"""Keep events that wait for their place in the chain, where many processes write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the queue of events."""
    op.create_table(
        "unsealed",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True
        ),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
    )
