"""How a database's disk is filled at run time, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

from tests.lab.engine_clients import MARIADB, POSTGRESQL, Access, Engine, ask, query


@dataclass(frozen=True)
class Filling:
    """How a table is filled by a MiB a row, how large a disk takes the engine and some rows, and
    what a server says that has no room."""

    engine: Engine
    do: Callable[[Access, str], list[Any]]
    make: tuple[str, ...]
    add: str
    size_mib: int
    refused: type[Exception]
    words: str

    def __str__(self) -> str:
        return self.engine.service


FILLINGS = (
    Filling(
        POSTGRESQL,
        query,
        (
            "CREATE TABLE filled (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, block text)",
            "ALTER TABLE filled ALTER block SET STORAGE EXTERNAL",
        ),
        "INSERT INTO filled (block) VALUES (repeat('x', 1 << 20))",
        480,
        psycopg.Error,
        "No space left on device|closed the connection|the database system is",
    ),
    Filling(
        MARIADB,
        ask,
        ("CREATE TABLE filled (id int AUTO_INCREMENT PRIMARY KEY, block longblob)",),
        "INSERT INTO filled (block) VALUES (REPEAT('x', 1 << 20))",
        400,
        pymysql.err.MySQLError,
        "is full|No space left on device|Lost connection",
    ),
)
COUNT = "SELECT count(*) FROM filled"


def added_until_refused(filling: Filling, way: Access) -> tuple[int, str]:
    """How many rows were accepted, and what was said of the next."""
    rows = 0
    try:
        with filling.engine.connect(way) as writer:
            for rows in range(filling.size_mib):  # noqa: B007 - those before the one that failed
                writer.cursor().execute(filling.add)
    except filling.refused as error:
        return rows, str(error)
    raise AssertionError("the disk took more than it has")
