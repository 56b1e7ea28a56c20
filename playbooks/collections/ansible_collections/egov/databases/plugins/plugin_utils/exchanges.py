"""Two databases change places: each name leads to the other's data afterwards, to its own owner and accounts.

The names change in one transaction, which also notes the job on the database; what follows may be done twice. Between
the two, nobody gets in: the limit of connections is 0 and is set to the plan's at the very end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from ansible_collections.egov.databases.plugins.plugin_utils.accounts import (
    let_read,
    readers_of,
    set_parameters,
)
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.restores import (
    close_public_schema,
    set_role,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import (
    Server,
    database_exists,
    statement,
)
from psycopg import sql

EMPTYING_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Place:
    """A name that leads to a database, with who owns what is found there; `connections` at most, -1 without end."""

    database: str
    owner: str
    accounts: Sequence[str]
    connections: int
    comment: str
    readers: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        return cls(
            told["database"],
            told["owner"],
            tuple(told["accounts"]),
            int(told["connections"]),
            told["comment"],
            tuple(told.get("readers", ())),
            told.get("parameters", {}),
        )

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.owner, *self.accounts, *self.readers)


def is_exchanged(connection: psycopg.Connection[Any], database: str, job_number: str) -> bool:
    """Whether this very job has already put another database under the name."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
        [database],
    ).fetchone()
    return row is not None and (row[0] or "").endswith(_mark(job_number))


def exchange(server: Server, left: Place, right: Place, job_number: str) -> bool:
    """`left` leads to what `right` led to, and the other way round; returns whether that was not so already.

    Errors: ArchiveError when one of them is missing, or clients keep coming in.
    """
    with server.connect() as connection:
        left, right = _with_roles_there(connection, left), _with_roles_there(connection, right)
        is_first_try = not is_exchanged(connection, left.database, job_number)
        if is_first_try:
            for place in (left, right):
                if not database_exists(connection, place.database):
                    raise ArchiveError(
                        f"there is no database {place.database}; nothing was exchanged"
                    )
            _change_names(connection, left, right, job_number)
    if left.owner != right.owner:
        for place, other in ((left, right), (right, left)):
            _hand_over(server, place, other)
    with server.connect() as connection:
        there = [p for p in (left, right) if database_exists(connection, p.database)]
    for place in there:
        let_read(server, place.database, place.owner)
    with server.connect() as connection:
        for place in there:
            set_parameters(connection, place.database, place.parameters)
            open_again(connection, place)
    return is_first_try


def _with_roles_there(connection: psycopg.Connection[Any], place: Place) -> Place:
    """The second account exists from the first change of password on, the group of readers from the first reader on."""
    readers = [readers_of(place.owner), *place.readers]
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[*place.accounts, *readers]]
    )
    there = {str(row[0]) for row in rows.fetchall()}
    return replace(
        place,
        accounts=tuple(a for a in place.accounts if a in there),
        readers=tuple(r for r in readers if r in there),
    )


def _mark(job_number: str) -> str:
    return f" exchanged by {job_number}"


def _change_names(
    connection: psycopg.Connection[Any], left: Place, right: Place, job_number: str
) -> None:
    between = f"{left.database[:50]}_exchange"
    deadline = time.monotonic() + EMPTYING_PATIENCE_S
    for place in (left, right):
        connection.execute(statement("ALTER DATABASE {} CONNECTION LIMIT 0", place.database))
    while True:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)",
            [[left.database, right.database]],
        )
        try:
            with connection.transaction():
                for old, new in (
                    (left.database, between),
                    (right.database, left.database),
                    (between, right.database),
                ):
                    connection.execute(statement("ALTER DATABASE {} RENAME TO {}", old, new))
                for place, comment in (
                    (left, left.comment + _mark(job_number)),
                    (right, right.comment),
                ):
                    note = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                        sql.Identifier(place.database), sql.Literal(comment)
                    )
                    connection.execute(note)
                    for account in place.accounts:
                        set_role(connection, place.database, account, place.owner)
                if left.owner != right.owner:
                    for place, other in ((left, right), (right, left)):
                        for account in (*other.accounts, *other.readers):
                            connection.execute(
                                statement(
                                    "ALTER ROLE {} IN DATABASE {} RESET ALL",
                                    account,
                                    place.database,
                                )
                            )
        except psycopg.errors.ObjectInUse as error:
            if time.monotonic() > deadline:
                for place in (left, right):
                    open_again(connection, place)
                raise ArchiveError(
                    "clients keep connecting to the database; nothing was exchanged"
                ) from error
        else:
            return


def _hand_over(server: Server, place: Place, other: Place) -> None:
    """Inside the database that stands under `place` now, what the other's roles own or may do is its own roles'."""
    with server.connect(place.database) as connection, connection.transaction():
        for role in other.roles:
            connection.execute(statement("REASSIGN OWNED BY {} TO {}", role, place.owner))
        for role in other.roles:
            connection.execute(statement("DROP OWNED BY {}", role))
        close_public_schema(connection, place.owner)


def open_again(connection: psycopg.Connection[Any], place: Place) -> None:
    with connection.transaction():
        connection.execute(statement("ALTER DATABASE {} OWNER TO {}", place.database, place.owner))
        connection.execute(statement("GRANT ALL ON DATABASE {} TO {}", place.database, place.owner))
        group = readers_of(place.owner)
        if group in place.readers:
            connection.execute(
                statement("GRANT CONNECT ON DATABASE {} TO {}", place.database, group)
            )
        connection.execute(
            statement("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", place.database)
        )
        connection.execute(
            sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
                sql.Identifier(place.database), sql.Literal(place.connections)
            )
        )
