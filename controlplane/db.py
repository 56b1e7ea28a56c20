"""Engine, base class and transactions; `Database.transaction` is the only place that commits."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from controlplane.errors import Fault, InvalidInput

log = logging.getLogger(__name__)

#: 64-bit keys; SQLite numbers rows by itself only in a column declared INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC time outside, naive UTC in the database: the same on SQLite and PostgreSQL."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone was about to be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy
        datetime: UtcDateTime(),
        dict[str, Any]: sa.JSON(),
        list[Any]: sa.JSON(),
        int: sa.BigInteger(),
    }


def in_chunks(ids: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Ids for one IN after the other: a statement takes only so many parameters."""
    return (ids[at : at + size] for at in range(0, len(ids), size))


_ANNOUNCED = "announced"


def announce(session: Session, news: str) -> None:
    """Whoever listens in this process is told once the transaction is committed, and of nothing
    that is rolled back."""
    session.info.setdefault(_ANNOUNCED, set()).add(news)


class Database:
    """One engine; `read()` never writes, `transaction()` commits once or not at all."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine()
        self._listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, news: str, listener: Callable[[], None]) -> None:
        """Calls `listener`, which returns at once, when a transaction of this process that has
        announced `news` is committed."""
        self._listeners[news].append(listener)

    def _sqlite_engine(self) -> Engine:
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self.url, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite_connection)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _postgresql_engine(self) -> Engine:
        return sa.create_engine(self.url, pool_size=10, max_overflow=20, pool_pre_ping=True)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One write transaction. On SQLite it takes the write lock at once, so that a reader
        never has to be turned into a writer half way (which SQLite refuses without waiting).
        """
        with (
            _refusing_what_cannot_be_kept(),
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session
        for news in session.info.get(_ANNOUNCED, ()):
            for listener in self._listeners.get(news, ()):
                listener()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view without the write lock; whatever is changed in it is lost."""
        connection = self.engine.connect().execution_options(read_only=True)
        try:
            with (
                _refusing_what_cannot_be_kept(),
                Session(connection, expire_on_commit=False, autoflush=False) as session,
            ):
                yield session
        finally:
            connection.rollback()
            connection.close()

    def dispose(self) -> None:
        self.engine.dispose()


@contextmanager
def _refusing_what_cannot_be_kept() -> Iterator[None]:
    """A value that no column takes is bad input, whoever let it through: a NUL in a text, half a
    character, a text or a number that is too long. Errors: InvalidInput."""
    try:
        yield
    except (sa.exc.DataError, OverflowError, UnicodeEncodeError) as error:
        log.warning("refused as bad input: %s", error)
        raise InvalidInput([Fault("value_cannot_be_kept")]) from error


def _prepare_sqlite_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
