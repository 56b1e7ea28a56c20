"""Real clients of the four engines, by what a department is shown and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pika
import pika.exceptions
import psycopg
import pymysql
import redis

PATIENCE_S = 5
#: For a statement's answer, which a MariaDB without room for its log gives only when it has some.
ANSWER_S = 45
QUEUE = "cases"


@dataclass(frozen=True)
class Access:
    """Where to connect and as whom; `inside` names the database, prefix or virtual host."""

    host: str
    port: int
    user: str
    password: str
    inside: str
    ca_file: str

    @classmethod
    def shown(cls, texts: dict[str, str], folder: Path) -> Access:
        """From the ways to connect on the resource's page, its authority put into a file."""
        ca = folder / "ca.pem"
        ca.write_text(texts["ca"])
        parts = urlsplit(texts["uri"])
        host, user, password = (str(p) for p in (parts.hostname, parts.username, parts.password))
        inside = unquote(parts.path.removeprefix("/"))
        return cls(host, parts.port or 0, unquote(user), unquote(password), inside, str(ca))

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


def postgresql(access: Access, *, tls: bool = True) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=access.host,
        port=access.port,
        user=access.user,
        password=access.password,
        dbname=access.inside,
        autocommit=True,
        connect_timeout=PATIENCE_S,
        sslmode="verify-full" if tls else "disable",
        sslrootcert=access.ca_file,
    )


def query(access: Access, text: str) -> list[Any]:
    """Of PostgreSQL."""
    with postgresql(access) as connection:
        answer = connection.execute(text)  # type: ignore[call-overload]
        return list(answer.fetchall()) if answer.description else []


def mariadb(access: Access, *, tls: bool = True) -> Any:
    checked = {"ssl_ca": access.ca_file, "ssl_verify_cert": True, "ssl_verify_identity": True}
    return pymysql.connect(
        host=access.host,
        port=access.port,
        user=access.user,
        password=access.password,
        database=access.inside,
        autocommit=True,
        connect_timeout=PATIENCE_S,
        read_timeout=ANSWER_S,
        **(checked if tls else {"ssl_disabled": True}),
    )


def ask(access: Access, text: str) -> list[Any]:
    """Of MariaDB."""
    with mariadb(access) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def cache(access: Access, *, tls: bool = True) -> Any:
    return redis.Redis(
        host=access.host,
        port=access.port,
        username=access.user,
        password=access.password,
        ssl=tls,
        ssl_ca_certs=access.ca_file if tls else None,
        decode_responses=True,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
    )


def broker(access: Access, *, tls: bool = True) -> Any:
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=access.host,
            port=access.port,
            virtual_host=access.inside,
            credentials=pika.PlainCredentials(access.user, access.password),
            ssl_options=pika.SSLOptions(access.context(), access.host) if tls else None,
            socket_timeout=PATIENCE_S,
            stack_timeout=PATIENCE_S,
            blocked_connection_timeout=PATIENCE_S,
        )
    )


MAKE_ROWS = (
    "CREATE TABLE ledger (id int PRIMARY KEY)",
    "INSERT INTO ledger VALUES (1), (2), (3)",
)
COUNT_ROWS = "SELECT count(*) FROM ledger"
ADD_ROW = "INSERT INTO ledger SELECT max(id) + 1 FROM ledger"


def _write_rows(access: Access) -> None:
    for statement in MAKE_ROWS:
        ask(access, statement)


def _rows(access: Access) -> int:
    return int(ask(access, COUNT_ROWS)[0][0])


def _add_row(access: Access) -> None:
    ask(access, ADD_ROW)


def _write_to_postgresql(access: Access) -> None:
    for statement in MAKE_ROWS:
        query(access, statement)


def _rows_of_postgresql(access: Access) -> int:
    return int(query(access, COUNT_ROWS)[0][0])


def _add_to_postgresql(access: Access) -> None:
    query(access, ADD_ROW)


def _write_keys(access: Access) -> None:
    cache(access).mset({"a": "1", "b": "2", "c": "3"})


def _keys(access: Access) -> int:
    return len(cache(access).keys("*"))


def _send(access: Access, *texts: bytes) -> None:
    """Kept once the broker has said so."""
    with broker(access) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        durable = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        for text in texts:
            channel.basic_publish("", QUEUE, text, durable)


def _write_messages(access: Access) -> None:
    with broker(access) as connection:
        connection.channel().queue_declare(QUEUE, durable=True)
    _send(access, b"one", b"two", b"three")


def _messages(access: Access) -> int:
    """One is taken, and put back."""
    with broker(access) as connection:
        channel = connection.channel()
        taken, _, _ = channel.basic_get(QUEUE)
        if taken is None:
            return 0
        channel.basic_nack(taken.delivery_tag, requeue=True)
        return int(taken.message_count) + 1


def _add_message(access: Access) -> None:
    _send(access, b"more")


@dataclass(frozen=True)
class Engine:
    """A service, what its form asks for, and how three things are put in, counted and, where it has
    accounts beside the main one, added to."""

    service: str
    form: dict[str, Any]
    connect: Callable[..., Any]
    write: Callable[[Access], None]
    count: Callable[[Access], int]
    refused: tuple[type[Exception], ...]
    add_one: Callable[[Access], None] | None = None

    def __str__(self) -> str:
        return self.service


POSTGRESQL = Engine(
    "postgresql",
    {"database_name": "dibao"},
    postgresql,
    _write_to_postgresql,
    _rows_of_postgresql,
    (psycopg.errors.InsufficientPrivilege, psycopg.OperationalError),
    _add_to_postgresql,
)
MARIADB = Engine(
    "mariadb",
    {"database_name": "dibao"},
    mariadb,
    _write_rows,
    _rows,
    (pymysql.err.OperationalError,),
    _add_row,
)
REDIS = Engine("redis", {"key_prefix": "dibao"}, cache, _write_keys, _keys, (redis.RedisError,))
RABBITMQ = Engine(
    "rabbitmq",
    {"vhost_name": "dibao"},
    broker,
    _write_messages,
    _messages,
    (pika.exceptions.AMQPError,),
    _add_message,
)
