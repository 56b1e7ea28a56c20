"""PostgreSQL, shared or a department's own: connections and the environment of its own programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from ansible_collections.egov.databases.plugins.plugin_utils.endpoints import (
    CONNECT_TIMEOUT_S,
    Endpoint,
)
from psycopg import sql

# What a department has set for its database, or its full disk has, is not for the platform's own sessions.
OWN_SETTINGS = (
    "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed "
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
)


class Server(Endpoint):
    """A PostgreSQL."""

    @contextmanager
    def connect(
        self, database: str = "postgres", *, autocommit: bool = True
    ) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            host=self.address,
            port=self.port,
            dbname=database,
            user=self.user,
            password=self.password,
            sslmode="verify-full",
            sslrootcert=self.ca_file,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=OWN_SETTINGS,
            autocommit=autocommit,
            application_name="egov backup",
        ) as connection:
            yield connection

    def environment(self, database: str) -> dict[str, str]:
        """What libpq's programs read: a password is in no command line."""
        return {
            "PGHOST": self.address,
            "PGPORT": str(self.port),
            "PGDATABASE": database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": self.ca_file,
            "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S),
            "PGOPTIONS": OWN_SETTINGS,
        }


def statement(text: str, *names: str) -> sql.Composed:
    """SQL with each `{}` replaced by a quoted name."""
    return sql.SQL(text).format(*(sql.Identifier(name) for name in names))  # type: ignore[arg-type]


def database_exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return (
        connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        is not None
    )
