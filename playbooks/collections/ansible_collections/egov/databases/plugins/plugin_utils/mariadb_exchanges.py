"""Two MariaDB databases change what is in them: each name, with its accounts, leads to the other's data afterwards.

How far a job has come stands in the comment of the database whose action it is, so that the next try goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_moves import check_views, move
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    Session,
    account,
    database_exists,
    forget_rights,
    quoted,
)

EMPTYING_PATIENCE_S = 10.0
LOCK_PATIENCE_S = 30
NOBODY = -1
COMMENT = "SELECT SCHEMA_COMMENT FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"


@dataclass(frozen=True)
class Place:
    """A name that leads to a database: `account` is the one of its `accounts` that is in force, and makes what is made
    there; `connections` at most for each."""

    database: str
    account: str
    accounts: Sequence[str]
    connections: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        names = tuple(told["accounts"])
        return cls(told["database"], told["account"], names, int(told["connections"]))


def has_begun(server: MariaServer, database: str, job_number: str) -> bool:
    """Whether this very job has touched the database already."""
    with server.connect() as session:
        return _comment(session, database).startswith(_mark(job_number))


def exchange(server: MariaServer, left: Place, right: Place, job_number: str) -> bool:
    """Returns whether that was not so already. Errors: ArchiveError when one is missing, or clients keep coming in."""
    between = f"{left.database}_exchange"
    steps = (
        (left.database, between, ""),
        (right.database, left.database, left.account),
        (between, right.database, right.account),
    )
    return _go(server, (left, right), steps, job_number, leftover=(between,))


def take_place(server: MariaServer, place: Place, restored: str, job_number: str) -> bool:
    """What lies in `restored` is what the name leads to; what was there before is gone. Returns and errors as above."""
    between = f"{place.database}_exchange"
    steps = ((place.database, between, ""), (restored, place.database, place.account))
    return _go(server, (place,), steps, job_number, leftover=(between, restored))


def _go(
    server: MariaServer,
    places: Sequence[Place],
    steps: Sequence[tuple[str, str, str]],
    job_number: str,
    leftover: Sequence[str],
) -> bool:
    name = places[0].database
    with server.connect() as session:
        session.run(f"SET SESSION lock_wait_timeout = {LOCK_PATIENCE_S}")
        done, is_first_try = _done(session, name, job_number), False
        if not _comment(session, name).startswith(_mark(job_number)):
            is_first_try = True
            _check(session, steps, leftover)
            close(session, places)
        for number, (source, target, definer) in enumerate(steps, start=1):
            if number > done:
                _note(session, name, job_number, number - 1)
                move(session, source, target, definer)
        _note(session, name, job_number, len(steps))
        for database in leftover:
            session.run(f"DROP DATABASE IF EXISTS {quoted(database)}")
            forget_rights(session, database)
        for place in places:
            limit_place(session, place, place.connections)
    return is_first_try


def _check(
    session: Session, steps: Sequence[tuple[str, str, str]], leftover: Sequence[str]
) -> None:
    """Errors: ArchiveError where a database is not there, or cannot be moved."""
    for database in {source for source, _, _ in steps} - {leftover[0]}:
        if not database_exists(session, database):
            raise ArchiveError(f"there is no database {database}; nothing was exchanged")
        if len(steps) == len(leftover) + 2:  # nothing is thrown away, and nothing was just restored
            check_views(session, database)


def close(session: Session, places: Sequence[Place]) -> None:
    """Nobody gets in, nobody is left. Errors: ArchiveError, and all are open again."""
    names = [name for place in places for name in place.accounts]
    for place in places:
        limit_place(session, place, NOBODY)
    deadline = time.monotonic() + EMPTYING_PATIENCE_S
    while session.run("SELECT 1 FROM information_schema.PROCESSLIST WHERE USER IN %s", names):
        if time.monotonic() > deadline:
            for place in places:
                limit_place(session, place, place.connections)
            raise ArchiveError("clients do not leave the database; nothing was exchanged")
        for name in names:
            session.run(f"KILL USER {account(name)}")
        time.sleep(0.05)


def limit_place(session: Session, place: Place, connections: int) -> None:
    for name in place.accounts:
        session.run(f"ALTER USER IF EXISTS {account(name)} WITH MAX_USER_CONNECTIONS {connections}")


def _comment(session: Session, database: str) -> str:
    rows = session.run(COMMENT, database)
    return str(rows[0][0]) if rows else ""


def _mark(job_number: str) -> str:
    return f"egov exchanged by {job_number}: "


def _done(session: Session, database: str, job_number: str) -> int:
    """How many of the job's steps are done."""
    comment = _comment(session, database)
    return (
        int(comment.removeprefix(_mark(job_number))) if comment.startswith(_mark(job_number)) else 0
    )


def _note(session: Session, database: str, job_number: str, done: int) -> None:
    session.run(f"ALTER DATABASE {quoted(database)} COMMENT %s", f"{_mark(job_number)}{done}")
