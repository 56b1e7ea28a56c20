"""A database of its own for each test, copied from one that holds the sample city already."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

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


class PostgresqlDatabases:
    """`name` keeps the databases of test runs at the same time apart."""

    def __init__(self, server_url: str, name: str, folder: Path) -> None:
        self._server = make_url(server_url)
        self._name = name
        self._admin: Engine = sa.create_engine(self._server, isolation_level="AUTOCOMMIT")
        self._template = f"{name}_template"
        self._make(self._template)
        make_city(folder, self._url(self._template)).control_plane.db.dispose()

    def fresh(self, test: str, _folder: Path) -> str:
        readable = re.sub(r"[^a-z0-9]+", "_", test.lower())[: 60 - len(self._name)]
        database = f"{self._name}_{readable}"
        self._make(database, template=self._template)
        return self._url(database)

    def drop(self, url: str) -> None:
        self._drop(make_url(url).database or "")

    def close(self) -> None:
        self._drop(self._template)
        self._admin.dispose()

    def _url(self, database: str) -> str:
        # A test's commits need not outlive a power cut.
        url = self._server.set(database=database)
        url = url.update_query_dict({"options": "-c synchronous_commit=off"})
        return url.render_as_string(hide_password=False)

    def _make(self, database: str, template: str = "template1") -> None:
        self._drop(database)
        # Logging a small template's pages is quicker than the two checkpoints of copying its files.
        self._execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY WAL_LOG')

    def _drop(self, database: str) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(sa.text(statement))


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"
