"""Real clients of MariaDB, Redis and RabbitMQ, by what a department is shown and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pika
import pika.exceptions
import pymysql
import redis

PATIENCE_S = 5
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
        **(checked if tls else {"ssl_disabled": True}),
    )


def ask(access: Access, query: str) -> list[Any]:
    with mariadb(access) as connection, connection.cursor() as cursor:
        cursor.execute(query)
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


def _write_rows(access: Access) -> None:
    ask(access, "CREATE TABLE household (id int PRIMARY KEY)")
    ask(access, "INSERT INTO household VALUES (1), (2), (3)")


def _rows(access: Access) -> int:
    return int(ask(access, "SELECT count(*) FROM household")[0][0])


def _write_keys(access: Access) -> None:
    cache(access).mset({"a": "1", "b": "2", "c": "3"})


def _keys(access: Access) -> int:
    return len(cache(access).keys("*"))


def _write_messages(access: Access) -> None:
    with broker(access) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.confirm_delivery()
        for text in (b"one", b"two", b"three"):
            durable = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
            channel.basic_publish("", QUEUE, text, durable)


def _messages(access: Access) -> int:
    with broker(access) as connection:
        found = connection.channel().queue_declare(QUEUE, passive=True)
        return int(found.method.message_count)


@dataclass(frozen=True)
class Engine:
    """A service, what its form asks for, and how three things are put in and counted."""

    service: str
    form: dict[str, Any]
    connect: Callable[..., Any]
    write: Callable[[Access], None]
    count: Callable[[Access], int]
    refused: tuple[type[Exception], ...] = field(default=())

    def __str__(self) -> str:
        return self.service


ENGINES = (
    Engine(
        "mariadb",
        {"database_name": "dibao"},
        mariadb,
        _write_rows,
        _rows,
        (pymysql.err.OperationalError,),
    ),
    Engine("redis", {"key_prefix": "dibao"}, cache, _write_keys, _keys, (redis.RedisError,)),
    Engine(
        "rabbitmq",
        {"vhost_name": "dibao"},
        broker,
        _write_messages,
        _messages,
        (pika.exceptions.AMQPError,),
    ),
)
