"""The shared PostgreSQL as the inventory names it: connections and the environment of its own programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

CONNECT_TIMEOUT_S = 10
# What a department has set for its database, or its full disk has, is not for the platform's own sessions.
OWN_SETTINGS = (
    "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed "
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
)
#: Variables of a host of the group `shared_services`.
SERVER_VARIABLES = (
    "service_address",
    "service_port",
    "service_ca_file",
    "service_tools",
    "service_admin_user",
    "service_admin_password_file",
)


@dataclass(frozen=True)
class Server:
    """Where it is, and who asks; every connection is by TLS, its certificate verified."""

    address: str
    port: int
    ca_file: str
    tools: Path
    user: str
    password: str

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Server:
        """The administrator's way in, from the host's variables."""
        return cls(
            address=variables["service_address"],
            port=int(variables["service_port"]),
            ca_file=variables["service_ca_file"],
            tools=Path(variables["service_tools"]),
            user=variables["service_admin_user"],
            password=Path(variables["service_admin_password_file"])
            .read_text(encoding="utf-8")
            .strip(),
        )

    def as_account(self, user: str, password: str) -> Server:
        """The same server for somebody who is not its administrator."""
        return replace(self, user=user, password=password)

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
