"""Alembic's environment: one connection of our own engine, one transaction for all steps."""

from __future__ import annotations

from alembic import context

from controlplane.db import Base, Database
from controlplane.tables import ALL_TABLES

database: Database = context.config.attributes["database"]
assert ALL_TABLES

with database.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=database.is_sqlite,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
