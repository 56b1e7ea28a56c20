"""Engines whose databases are backed up, each by a real client: rows written, summed up, lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from tests.lab import engine_clients
from tests.lab.engine_clients import Access
from tests.lab.servers import shared_city, shared_roles

#: The ways to connect as a department is shown them, by code.
Texts = dict[str, str]


def _postgresql(texts: Texts, folder: Path, query: str) -> list[tuple[Any, ...]]:
    return shared_city.ask(shared_city.with_ca(texts, folder), query)


def _mariadb(texts: Texts, folder: Path, query: str) -> list[tuple[Any, ...]]:
    answer: list[tuple[Any, ...]] = []
    for statement in query.split("; "):
        answer = engine_clients.ask(Access.shown(texts, folder), statement)
    return answer


def _left_on_mariadb(inventory: Path) -> list[str]:
    """Databases, accounts and rights of departments on the shared server."""
    server = shared_roles.server_of("mariadb", inventory)
    with (
        pymysql.connect(
            host=server["service_address"],
            port=server["service_port"],
            user=server["service_admin_user"],
            password=server["password"],
            ssl_ca=server["service_ca_file"],
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'dibao%' "
            "UNION ALL SELECT User FROM mysql.user WHERE User LIKE 'dibao%' "
            "UNION ALL SELECT Db FROM mysql.db WHERE Db LIKE 'dibao%'"
        )
        return [str(row[0]) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Backed:
    """`fill` makes a table `household` of so many rows, and other things that a backup must hold;
    `in_manifest` is the table's name there. `total` tells the rows' number and sum."""

    service: str
    ask: Callable[[Texts, Path, str], list[tuple[Any, ...]]]
    fill: tuple[str, ...]
    total: str
    drop: str
    in_manifest: str
    gone: type[Exception]
    left_on: Callable[[Path], list[str]]

    def __str__(self) -> str:
        return self.service

    def now(self, ask: Callable[[str], list[tuple[Any, ...]]]) -> datetime:
        """A moment of its server, after all that was written. A MariaDB's log tells seconds."""
        if self.service == "mariadb":
            ask("SELECT SLEEP(1.01 - MICROSECOND(NOW(6)) / 1000000)")
            ((moment,),) = ask("SELECT UTC_TIMESTAMP()")
            return moment.replace(tzinfo=UTC)  # type: ignore[no-any-return]
        ((moment,),) = ask("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        return moment


POSTGRESQL = Backed(
    "postgresql",
    _postgresql,
    (
        "CREATE TABLE household AS SELECT n AS id, md5(n::text) AS note, n / 7.0 AS share, "
        "now() AS at, jsonb_build_object('n', n) AS more FROM generate_series(1, {rows}) n",
        "ALTER TABLE household ADD PRIMARY KEY (id)",
        "CREATE VIEW all_of_it AS TABLE household",
        "CREATE EXTENSION pg_trgm",
        "SELECT lo_from_bytea(0, 'scan')",
    ),
    "SELECT count(*), sum(hashtext(household::text)) FROM household",
    "DROP TABLE household CASCADE",
    "public.household",
    psycopg.errors.UndefinedTable,
    shared_city.left_on,
)
MARIADB = Backed(
    "mariadb",
    _mariadb,
    (
        "CREATE SEQUENCE numbers",
        "CREATE TABLE street (id int PRIMARY KEY)",
        "INSERT INTO street SELECT seq FROM seq_1_to_7",
        "CREATE TABLE household (id int PRIMARY KEY DEFAULT nextval(numbers), note varchar(40), "
        "share double, at timestamp DEFAULT now(), more json, scan blob, street int, "
        "FOREIGN KEY (street) REFERENCES street (id))",
        "INSERT INTO household SELECT seq, IF(seq % 9, MD5(seq), '一户;\\n(二户)'), seq / 7.0, "
        "now(), JSON_OBJECT('n', seq), UNHEX(MD5(seq)), 1 + seq % 7 FROM seq_1_to_{rows}",
        "CREATE VIEW named AS SELECT id, note FROM household",
        "CREATE VIEW all_of_it AS SELECT * FROM named",
        "CREATE FUNCTION next_year(y int) RETURNS int DETERMINISTIC RETURN y + 1",
        "CREATE PROCEDURE pay() SELECT 'CREATE DEFINER=`root`@`%` PROCEDURE'",
        "CREATE TRIGGER written BEFORE UPDATE ON household FOR EACH ROW SET NEW.share = OLD.share",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM household WHERE id < 0",
    ),
    "SELECT COUNT(*), SUM(CRC32(CONCAT_WS(',', id, note, share, at, more, HEX(scan)))) "
    "FROM household",
    "DROP TABLE household; DROP VIEW all_of_it; DROP VIEW named",
    "household",
    pymysql.err.ProgrammingError,
    _left_on_mariadb,
)
ENGINES = (POSTGRESQL, MARIADB)
