"""What Alembic runs: the migrations, in the transaction that it is handed."""

from __future__ import annotations

from alembic import context

from nenrin.backends.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
