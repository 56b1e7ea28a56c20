"""Databases and roles that stand for the time of one run only."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement
from psycopg import sql


def make_scratch_role(server: Server, name: str, password: str) -> None:
    """A role that owns and loads a scratch database and may do nothing else."""
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )


def drop_scratch(server: Server, databases: Iterable[str], roles: Iterable[str]) -> bool:
    """Removes what is there of them; returns whether there was something."""
    found = False
    with server.connect() as connection:
        for database in databases:
            found |= _is_there(
                connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            )
            connection.execute(statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))
        for role in roles:
            found |= _is_there(
                connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            )
            connection.execute(statement("DROP ROLE IF EXISTS {}", role))
    return found


def drop_roles_of(server: Server, comment: str) -> bool:
    """Removes every role that carries the comment; returns whether there was one."""
    with server.connect() as connection:
        marked = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s"
        names = [str(row[0]) for row in connection.execute(marked, [comment]).fetchall()]
        for name in names:
            connection.execute(statement("DROP ROLE {}", name))
    return bool(names)


def _is_there(cursor: object) -> bool:
    return cursor.fetchone() is not None  # type: ignore[attr-defined,no-any-return]
