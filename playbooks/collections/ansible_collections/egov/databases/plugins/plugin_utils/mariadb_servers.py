"""MariaDB, shared or a department's own: connections, and the options of its own programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pymysql
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import DatabaseAction
from ansible_collections.egov.databases.plugins.plugin_utils.endpoints import (
    CONNECT_TIMEOUT_S,
    Endpoint,
)

#: Limits that a department has set for its own sessions are not for the platform's.
WITHOUT_LIMITS = "max_statement_time = 0, idle_transaction_timeout = 0"
# Text of values must not depend on who asks, nor on what the server was set to.
SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', "
    f"{WITHOUT_LIMITS}, group_concat_max_len = 1048576"
)


class MariaServer(Endpoint):
    """A MariaDB; accounts of departments may come from everywhere (`@'%'`)."""

    #: Of every account that is made.
    ACCOUNTS_NEED: ClassVar[str] = "REQUIRE SSL"

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[Session]:
        way = {
            "host": self.address,
            "port": self.port,
            "ssl_ca": self.ca_file,
            "ssl_verify_cert": True,
            "ssl_verify_identity": True,
        }
        with connected(self, database, **way) as session:
            yield session

    def options(self) -> list[str]:
        """Of MariaDB's own programs, which read no file; the password is in no command line."""
        return [
            *("--no-defaults", "--protocol=tcp", f"--host={self.address}", f"--port={self.port}"),
            *(f"--user={self.user}", f"--ssl-ca={self.ca_file}", "--ssl-verify-server-cert"),
            "--default-character-set=utf8mb4",
        ]

    def environment(self) -> dict[str, str]:
        return {"MYSQL_PWD": self.password}


@contextmanager
def connected(server: MariaServer, database: str | None, **way: Any) -> Iterator[Session]:
    """As the server's user, by this way in."""
    connection = pymysql.connect(
        user=server.user,
        password=server.password,
        database=database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
        program_name="egov backup",
        **way,
    )
    try:
        session = Session(connection)
        session.run(SESSION)
        yield session
    finally:
        connection.close()


class Session:
    """One connection; each statement by itself, so that no text of a department's can begin another."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """`text` with `%s` for each value, and `%%` for a percent sign if there is one."""
        with self._connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return list(cursor.fetchall())

    def described(self, text: str) -> dict[str, Any]:
        """The one row of an answer, by the names of its columns."""
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(text)
            return dict(cursor.fetchone())

    def names(self, text: str, *values: Any) -> list[str]:
        return [str(row[0]) for row in self.run(text, *values)]


def quoted(*names: str) -> str:
    """Names as SQL writes them: `` `a`.`b` ``."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def pattern(database: str) -> str:
    """A database as a grant names it, where a bare `_` or `%` would stand for any letter."""
    return quoted(_escaped(database))


def _escaped(database: str) -> str:
    return re.sub(r"([_%\\])", r"\\\1", database)


def account(name: str) -> str:
    return f"{quoted(name)}@'%'"


def make_account(server: MariaServer, name: str, password: str) -> None:
    """An account that may do nothing yet."""
    with server.connect() as session:
        session.run(f"DROP USER IF EXISTS {account(name)}")  # of a run that was ended half-way
        who = account(name).replace("%", "%%")
        session.run(f"CREATE USER {who} IDENTIFIED BY %s {server.ACCOUNTS_NEED}", password)


def database_exists(session: Session, name: str) -> bool:
    return bool(
        session.run("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", name)
    )


def forget_rights(session: Session, database: str) -> None:
    """Whatever accounts may do in a database that is there no more."""
    for name in session.names("SELECT User FROM mysql.db WHERE Db = %s", _escaped(database)):
        session.run(f"REVOKE ALL ON {pattern(database)}.* FROM {account(name)}")


def drop(
    server: MariaServer, databases: Sequence[str], accounts: Sequence[str], like: str = ""
) -> bool:
    """Removes what is there of them, and accounts whose name is like this; whether there was something."""
    found = False
    with server.connect() as session:
        for database in databases:
            found |= database_exists(session, database)
            session.run(f"DROP DATABASE IF EXISTS {quoted(database)}")
            forget_rights(session, database)
        named = session.run("SELECT User FROM mysql.user WHERE User LIKE %s", like) if like else []
        for name in [*accounts, *(str(row[0]) for row in named)]:
            found |= bool(session.run("SELECT 1 FROM mysql.user WHERE User = %s", name))
            session.run(f"DROP USER IF EXISTS {account(name)}")
    return found


class MariaDBAction(DatabaseAction):
    SERVER: ClassVar[type[Endpoint]] = MariaServer
    TITLE: ClassVar[str] = "MariaDB"
    ERRORS: ClassVar[type[Exception]] = pymysql.MySQLError
