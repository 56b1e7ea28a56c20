"""Further accounts of a department's database, and its settings.

A writer is a member of the owner and acts as it, so that what it makes belongs to the owner like everything else. A reader
is a member of the database's group of readers, which may see what the owner has now and will have later. Settings belong
to the database itself: a session may choose others for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.restores import set_role
from ansible_collections.egov.databases.plugins.plugin_utils.servers import (
    Server,
    database_exists,
    statement,
)
from psycopg import sql

WRITE, READ = "write", "read"

#: What a department may set for its database: the name in PostgreSQL, and how a value is written.
PARAMETERS = {
    "statement_timeout_s": ("statement_timeout", "{}s"),
    "lock_timeout_s": ("lock_timeout", "{}s"),
    "idle_in_transaction_timeout_s": ("idle_in_transaction_session_timeout", "{}s"),
    "work_mem_mib": ("work_mem", "{}MB"),
    "isolation": ("default_transaction_isolation", "{}"),
    "time_zone": ("TimeZone", "{}"),
}
SCHEMAS = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
)


def readers_of(owner: str) -> str:
    """The group whose members may read what the owner has."""
    return f"{owner}_readers"


def make_account(
    server: Server, database: str, owner: str, name: str, rights: str, password: str, comment: str
) -> bool:
    """The account with this password and these rights; whether it is new.

    Errors: ArchiveError where the name is somebody else's.
    """
    group = owner if rights == WRITE else readers_of(owner)
    with server.connect() as connection:
        if rights == READ:
            _make_role(connection, group, comment)
            connection.execute(statement("GRANT CONNECT ON DATABASE {} TO {}", database, group))
        is_new = _make_role(connection, name, comment)
        log_in = "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}"
        connection.execute(
            sql.SQL(log_in).format(
                sql.Identifier(name), sql.Literal(_verifier(connection, name, password))
            )
        )
        connection.execute(statement("GRANT {} TO {}", group, name))
        if rights == WRITE:
            set_role(connection, database, name, owner)
    if rights == READ:
        let_read(server, database, owner)
    return is_new


def _verifier(connection: psycopg.Connection[Any], name: str, password: str) -> str:
    """What the server keeps of a password: the password itself is in no log of its statements."""
    return connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()


def _make_role(connection: psycopg.Connection[Any], name: str, comment: str) -> bool:
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", [name]
    ).fetchone()
    if row is not None and row[0] != comment:
        raise ArchiveError(f"the name {name} is taken on this server: choose another")
    if row is None:
        with connection.transaction():
            connection.execute(statement("CREATE ROLE {} NOLOGIN", name))
            connection.execute(
                sql.SQL("COMMENT ON ROLE {} IS {}").format(
                    sql.Identifier(name), sql.Literal(comment)
                )
            )
    return row is None


def remove_account(server: Server, database: str, owner: str, name: str, comment: str) -> bool:
    """Its sessions end, what it has made stays with the owner; whether it was there.

    Errors: ArchiveError where the name is somebody else's.
    """
    with server.connect() as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", [name]
        ).fetchone()
        if row is None:
            return False
        if row[0] != comment:
            raise ArchiveError(f"the account {name} does not belong to this database")
        connection.execute(statement("ALTER ROLE {} NOLOGIN", name))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
        )
    with server.connect(database) as connection, connection.transaction():
        connection.execute(statement("REASSIGN OWNED BY {} TO {}", name, owner))
        connection.execute(statement("DROP OWNED BY {}", name))
    with server.connect() as connection:
        connection.execute(statement("DROP ROLE {}", name))
    return True


def let_read(server: Server, database: str, owner: str) -> None:
    """The group of readers, where there is one, may see what the owner has now and later."""
    group = readers_of(owner)
    with server.connect(database) as connection, connection.transaction():
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [group]).fetchone():
            return
        for (schema,) in connection.execute(SCHEMAS).fetchall():
            connection.execute(statement("GRANT USAGE ON SCHEMA {} TO {}", schema, group))
            for kind in ("TABLES", "SEQUENCES"):
                grant = f"GRANT SELECT ON ALL {kind} IN SCHEMA {{}} TO {{}}"
                connection.execute(statement(grant, schema, group))
        for what in ("SELECT ON TABLES", "SELECT ON SEQUENCES", "USAGE ON SCHEMAS"):
            later = f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} GRANT {what} TO {{}}"
            connection.execute(statement(later, owner, group))


def set_parameters(
    connection: psycopg.Connection[Any], database: str, wanted: Mapping[str, Any]
) -> None:
    """The database's settings are those wanted, and the server's own where none is."""
    if not database_exists(connection, database):
        return
    with connection.transaction():
        for key, (name, form) in PARAMETERS.items():
            if key in wanted:
                connection.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(database),
                        sql.Identifier(name),
                        sql.Literal(form.format(wanted[key])),
                    )
                )
            else:
                connection.execute(statement("ALTER DATABASE {} RESET {}", database, name))
