"""Fixtures of every kind of test; which database a functional test runs on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.factories import City, make_city


def database_for(name: str) -> tuple[str, sa.Engine | None]:
    """A fresh database for one test: SQLite, or one of TEST_POSTGRESQL_URL's server."""
    server = os.environ.get("TEST_POSTGRESQL_URL")
    if not server:
        return "", None
    url = make_url(server)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    database = re.sub(r"[^a-z0-9]", "_", name.lower())[:50] + f"_{os.getpid()}"
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{database}"'))
    return url.set(database=database).render_as_string(hide_password=False), admin


@pytest.fixture
def city(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[City]:
    """The sample city, on SQLite or, with TEST_POSTGRESQL_URL, on PostgreSQL."""
    url, admin = database_for(request.node.name)
    made = make_city(tmp_path, url)
    yield made
    made.control_plane.db.dispose()
    if admin is not None:
        name = make_url(url).database
        with admin.connect() as connection:
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        admin.dispose()
