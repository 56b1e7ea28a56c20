"""The lab's PostgreSQL: a state of its own for each test, the programs shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lab import settings
from lab.errors import LabError
from lab.progress import Progress
from lab.services import postgresql

QUIET = Progress(quiet=True)


@pytest.fixture
def chosen(tmp_path: Path) -> Iterator[settings.Settings]:
    """Settings of a lab below a folder that only its owner enters."""
    made = settings.load(environment={**_lab_environment(), "LAB_HOME": str(tmp_path / "lab")})
    yield made
    postgresql.clean(made, QUIET)


def _lab_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith("LAB_")}


def ask(status: postgresql.Status, statement: str) -> object:
    engine = sa.create_engine(status.url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.execute(sa.text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def test_its_life(chosen: settings.Settings) -> None:
    assert postgresql.status(chosen) is None
    first = postgresql.start(chosen, QUIET)
    assert str(ask(first, "SHOW listen_addresses")) == "127.0.0.1"
    assert str(ask(first, "SHOW server_version")).split(".")[0].isdecimal()
    ask(first, "CREATE DATABASE kept")
    assert postgresql.start(chosen, QUIET) == first, "a second start changes nothing"
    assert postgresql.stop(chosen, QUIET)
    assert not postgresql.stop(chosen, QUIET)
    stopped = postgresql.status(chosen)
    assert stopped is not None
    assert not stopped.running
    again = postgresql.start(chosen, QUIET)
    assert ask(again, "SELECT count(*) FROM pg_database WHERE datname = 'kept'") == 1
    postgresql.reset(chosen, QUIET)
    assert postgresql.status(chosen) is None
    fresh = postgresql.start(chosen, QUIET)
    assert fresh.url != first.url, "a fresh state has a password of its own"
    assert ask(fresh, "SELECT count(*) FROM pg_database WHERE datname = 'kept'") == 0


def test_nobody_enters_without_the_password(chosen: settings.Settings) -> None:
    status = postgresql.start(chosen, QUIET)
    url = sa.make_url(status.url).set(password="guessed")
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        sa.create_engine(url).connect()
    assert Path(status.state).stat().st_mode & 0o077 == 0


def test_it_never_runs_as_root(chosen: settings.Settings) -> None:
    status = postgresql.start(chosen, QUIET)
    pid = (Path(status.state) / "data" / "postmaster.pid").read_text().splitlines()[0]
    assert Path("/proc", pid).stat().st_uid != 0


def test_a_folder_without_the_programs_is_named(tmp_path: Path) -> None:
    environment = {
        "LAB_HOME": str(tmp_path / "lab"),
        "LAB_SERVICES__POSTGRESQL_BIN": str(tmp_path / "nothing"),
    }
    with pytest.raises(LabError, match=r"initdb, pg_ctl, postgres cannot be run from .*/nothing"):
        postgresql.start(settings.load(environment=environment), QUIET)
