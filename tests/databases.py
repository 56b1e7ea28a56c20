"""A database of its own for each test, copied from one that holds the sample city already."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url

from tests.factories import make_city


class Databases(Protocol):
    """Gives out fresh databases."""

    def fresh(self, test: str, folder: Path) -> str:
        """URL of a database for `test`; files lie in `folder`."""

    def drop(self, url: str) -> None:
        """The test is over, and nobody is connected any more."""

    def close(self) -> None:
        """No more databases are asked for."""


class SqliteDatabases:
    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.sqlite"
        make_city(folder, _sqlite_url(self._template)).control_plane.db.dispose()

    def fresh(self, _test: str, folder: Path) -> str:
        path = folder / "controlplane.sqlite"
        shutil.copyfile(self._template, path)
        return _sqlite_url(path)

    def drop(self, _url: str) -> None:
        """It goes with the test's folder."""

    def close(self) -> None:
        """It goes with the session's folder."""


#: Keeps the sample city's rows beside the tables they are read from and written to.
REMEMBER = """
DO $$
DECLARE table_name text;
BEGIN
    CREATE SCHEMA sample;
    FOR table_name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TABLE sample.%1$I AS TABLE public.%1$I', table_name);
    END LOOP;
    CREATE TABLE counter AS SELECT sequencename AS name, last_value AS last FROM pg_sequences
        WHERE schemaname = 'public';
    ALTER TABLE counter SET SCHEMA sample;
END $$
"""
#: As it was, whatever a test has done to the rows; checks of foreign keys and triggers rest.
RESTORE = """
DO $$
DECLARE table_name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR table_name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', table_name);
        EXECUTE format(
            'INSERT INTO public.%1$I OVERRIDING SYSTEM VALUE TABLE sample.%1$I', table_name
        );
    END LOOP;
    PERFORM setval(format('public.%I', name)::regclass, coalesce(last, 1), last IS NOT NULL)
        FROM sample.counter;
END $$
"""


class PostgresqlDatabases:
    """A few, each used by one test after the other: making one takes a server longer than most
    tests. `name` keeps the databases of test runs at the same time apart."""

    def __init__(self, server_url: str, name: str, folder: Path) -> None:
        self._server = make_url(server_url)
        self._name = name
        self._admin = _engine(self._server)
        self._engines: dict[str, Engine] = {}
        self._free: list[str] = []
        self._template = f"{name}_template"
        self._make(self._template, "template1")
        make_city(folder, self._url(self._template)).control_plane.db.dispose()
        template = _engine(self._server.set(database=self._template))
        _execute(template, REMEMBER)
        template.dispose()

    def fresh(self, _test: str, _folder: Path) -> str:
        if not self._free:
            self._free.append(self._another())
        return self._url(self._free.pop())

    def drop(self, url: str) -> None:
        database = make_url(url).database or ""
        _execute(self._engines[database], RESTORE)
        self._free.append(database)

    def close(self) -> None:
        for database, engine in self._engines.items():
            engine.dispose()
            self._drop(database)
        self._drop(self._template)
        self._admin.dispose()

    def _another(self) -> str:
        database = f"{self._name}_{len(self._engines)}"
        self._make(database, self._template)
        self._engines[database] = _engine(self._server.set(database=database))
        return database

    def _url(self, database: str) -> str:
        # A test's commits need not outlive a power cut.
        url = self._server.set(database=database)
        url = url.update_query_dict({"options": "-c synchronous_commit=off"})
        return url.render_as_string(hide_password=False)

    def _make(self, database: str, template: str) -> None:
        self._drop(database)
        _execute(self._admin, f'CREATE DATABASE "{database}" TEMPLATE "{template}"')

    def _drop(self, database: str) -> None:
        _execute(self._admin, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def _engine(url: URL) -> Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT")


def _execute(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"
