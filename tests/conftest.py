"""Fixtures of every kind of test; which database a functional test runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from jinja2 import FileSystemBytecodeCache

from lab import settings
from lab.progress import Progress
from lab.services import postgresql
from tests import once
from tests.databases import Databases, PostgresqlDatabases, SqliteDatabases
from tests.factories import City, open_city

# How quickly a value is drawn says how busy the machine is, and nothing about the code.
hypothesis_settings.register_profile(
    "ours", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("ours")

once.share()

# Each test has an application of its own; the same template is compiled once for all of them.
Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache()}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql"],
        help="What functional tests run on. PostgreSQL is the server of TEST_POSTGRESQL_URL, or "
        "the lab's, which is then started. Default: PostgreSQL if that variable is set.",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="Every page is opened, by everybody and in both languages.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Databases with the sample city in them, a fresh one for each test."""
    server = os.environ.get("TEST_POSTGRESQL_URL")
    chosen = request.config.getoption("--database") or ("postgresql" if server else "sqlite")
    folder = tmp_path_factory.mktemp("databases")
    made: Databases
    if chosen == "sqlite":
        made = SqliteDatabases(folder)
    else:
        server = server or postgresql.start(settings.load(), Progress(quiet=True)).url
        made = PostgresqlDatabases(server, f"test_{os.getpid()}", folder)
    yield made
    made.close()


@pytest.fixture
def sample_url(
    tmp_path: Path, request: pytest.FixtureRequest, databases: Databases
) -> Iterator[str]:
    """A database of the test's own, with the sample city in it."""
    url = databases.fresh(request.node.name, tmp_path)
    yield url
    databases.drop(url)


@pytest.fixture
def city(tmp_path: Path, sample_url: str) -> Iterator[City]:
    """The sample city on a database of its own."""
    made = open_city(tmp_path, sample_url)
    yield made
    made.control_plane.db.dispose()
