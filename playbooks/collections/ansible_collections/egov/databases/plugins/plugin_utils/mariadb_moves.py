"""What is in one MariaDB database goes to another: MariaDB cannot rename a database, so its tables are.

Tables and sequences are renamed in one statement. Views, triggers, routines and events cannot be: they are written down
in a table of the new database, dropped, and made there again, in the name of an account that may use it. Ended anywhere, the
next try goes on: what is written down is there until all of it is made. Nobody but us gets in meanwhile. Events that slept since
they were restored wake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pymysql
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    Session,
    account,
    database_exists,
    quoted,
)

NOTES, DRAFT = "egov moving", "egov moving draft"
RENAMED = """
SELECT TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY 1
"""
#: Kinds of what is made again, in this order, with where their names stand and the column that has their text.
KINDS: Mapping[str, tuple[str, str]] = {
    "FUNCTION": (
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'FUNCTION'",
        "Create Function",
    ),
    "PROCEDURE": (
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = 'PROCEDURE'",
        "Create Procedure",
    ),
    "VIEW": (
        "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
        "Create View",
    ),
    "TRIGGER": (
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
        "ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER",
        "SQL Original Statement",
    ),
    "EVENT": (
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
        "Create Event",
    ),
}
_NAME = r"`(?:[^`]|``)*`"
#: The beginning of a definition as the server itself writes it.
HEADER = re.compile(
    rf"^CREATE (?P<how>(?:ALGORITHM=\w+ )?)(?:DEFINER={_NAME}@{_NAME} )?", re.IGNORECASE
)
#: What a restored event sleeps by, in a definition as the server itself writes it.
ASLEEP = re.compile(
    rf"^(CREATE (?:DEFINER={_NAME}@{_NAME} )?EVENT {_NAME} ON SCHEDULE (?:(?! ON COMPLETION ).)*? ON COMPLETION "
    r"(?:NOT )?PRESERVE )DISABLE ON SLAVE\b",
    re.IGNORECASE,
)
DEFAULTS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND INSTR(COLUMN_DEFAULT, %s)
"""
PLACE = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"


def check_views(session: Session, database: str) -> None:
    """A view of what is not there cannot be made again. Errors: ArchiveError naming one."""
    for view in session.names(KINDS["VIEW"][0], database):
        told = session.run(f"CHECK TABLE {quoted(database, view)}")
        if str(told[-1][3]).lower() != "ok":
            raise ArchiveError(
                f"the view {view} shows something that is not there: mend or drop it; nothing was changed"
            )


def move(session: Session, source: str, target: str, definer: str) -> None:
    """All that is in `source` is in `target` afterwards, which must be empty or half-way there; its views, triggers,
    routines and events run in the name of `definer`. Without one they are written down only, and are made when all of it
    moves on from there."""
    session.run(f"CREATE DATABASE IF NOT EXISTS {quoted(target)}")
    if not _is_table(session, target, NOTES):
        if not database_exists(session, source):
            return
        _make_alike(session, source, target)
        if not _is_table(session, source, NOTES):  # else they go with the tables
            _write_down(session, source, target)
    _drop_made(session, source)
    tables = session.names(RENAMED, source)
    if tables:
        pairs = (f"{quoted(source, t)} TO {quoted(target, t)}" for t in tables)
        session.run(f"RENAME TABLE {', '.join(pairs)}")
    _mend_defaults(session, source, target)
    if definer:
        _make_again(session, target, definer)
        session.run(f"DROP TABLE {quoted(target, NOTES)}")


def _make_alike(session: Session, source: str, target: str) -> None:
    ((charset, collation),) = session.run(PLACE, source)
    session.run(
        f"ALTER DATABASE {quoted(target)} CHARACTER SET {quoted(charset)} COLLATE {quoted(collation)}"
    )


def _is_table(session: Session, database: str, table: str) -> bool:
    query = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    return bool(session.run(query, database, table))


def _write_down(session: Session, source: str, target: str) -> None:
    """What is to be made again, as a table of `target` that is there as a whole or not at all."""
    draft = quoted(target, DRAFT)
    session.run(f"DROP TABLE IF EXISTS {draft}")
    session.run(
        f"CREATE TABLE {draft} (id int AUTO_INCREMENT PRIMARY KEY, kind varchar(20), name varchar(64), "
        "definition longtext, mode text, collation varchar(64), zone varchar(64)) CHARACTER SET utf8mb4"
    )
    for row in _made(session, source):
        columns = "(kind, name, definition, mode, collation, zone)"
        session.run(f"INSERT INTO {draft} {columns} VALUES (%s, %s, %s, %s, %s, %s)", *row)  # noqa: S608 - quoted
    session.run(f"RENAME TABLE {draft} TO {quoted(target, NOTES)}")


def _made(session: Session, database: str) -> Iterator[tuple[str, str, str, str, str, str]]:
    session.run(f"USE {quoted(database)}")  # what is shown names this database nowhere then
    for kind, (names, column) in KINDS.items():
        for name in session.names(names, database):
            shown = session.described(f"SHOW CREATE {kind} {quoted(name)}")
            mode, zone = shown.get("sql_mode") or "", shown.get("time_zone") or "SYSTEM"
            text = shown[column]
            if kind == "VIEW":  # one that shows something of another database too names both
                text = text.replace(f"{quoted(database)}.", "")
            yield kind, name, text, mode, shown["collation_connection"], zone


def _drop_made(session: Session, database: str) -> None:
    if not database_exists(session, database):
        return
    for kind in reversed(KINDS):
        for name in session.names(KINDS[kind][0], database):
            session.run(f"DROP {kind} IF EXISTS {quoted(database, name)}")


def _mend_defaults(session: Session, source: str, target: str) -> None:
    """A column whose default is a sequence names its database."""
    before, after = f"{quoted(source)}.", f"{quoted(target)}."
    for table, column, default in session.run(DEFAULTS, target, before):
        session.run(
            f"ALTER TABLE {quoted(target, table)} ALTER COLUMN {quoted(column)} "
            f"SET DEFAULT ({default.replace(before, after)})"
        )


def _make_again(session: Session, target: str, definer: str) -> None:
    """A view may show another one: those that cannot be made yet wait for the next round."""
    session.run(f"USE {quoted(target)}")
    columns = "kind, definition, mode, collation, zone"
    waiting = session.run(f"SELECT {columns} FROM {quoted(target, NOTES)} ORDER BY id")  # noqa: S608 - quoted
    while waiting:
        late: list[tuple[Any, ...]] = []
        for row in waiting:
            try:
                _make(session, definer, *row)
            except (pymysql.ProgrammingError, pymysql.OperationalError):
                if row[0] != "VIEW" or len(waiting) == 1:
                    raise
                late.append(row)
        if len(late) == len(waiting):
            _make(session, definer, *late[0])  # its own words say why
        waiting = late
    session.run("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'")


def _make(
    session: Session, definer: str, _kind: str, text: str, mode: str, collation: str, zone: str
) -> None:
    header = f"CREATE OR REPLACE {_how(text)}DEFINER={account(definer)} "
    woken = ASLEEP.sub(r"\1ENABLE", text, count=1)
    definition = HEADER.sub(lambda _: header, woken, count=1)
    session.run(
        "SET SESSION sql_mode = %s, collation_connection = %s, time_zone = %s",
        mode,
        collation,
        zone,
    )
    session.run(definition)


def _how(text: str) -> str:
    found = HEADER.match(text)
    return found["how"] if found else ""
