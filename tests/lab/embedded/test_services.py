"""The lab's shared servers with real clients: TLS by our authority, kept data, kill -9, taken port.

One lab for the file, below a folder that only its owner enters; the programs are shared.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pika
import psycopg
import pymysql
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab import ports, processes, settings
from lab.errors import LabError
from lab.progress import Progress
from lab.services import authority, lifecycle, shared
from lab.services.endpoints import Endpoint, endpoints
from lab.services.engine import Engine

QUIET = Progress(quiet=True)
NAMES = [engine.name for engine in shared.ENGINES]


def lab_below(folder: Path) -> settings.Settings:
    environment = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
    return settings.load(environment={**environment, "LAB_HOME": str(folder / "lab")})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    made = lab_below(tmp_path_factory.mktemp("services"))
    try:
        shared.start(shared.ENGINES, made, QUIET)
        yield made
    finally:
        shared.clean(made, QUIET)


@dataclass(frozen=True)
class Client:
    """A department's way to a server: `put` and `get` a text by TLS that `ca_file` vouches for."""

    put: Callable[[Endpoint, str], None]
    get: Callable[[Endpoint], str]
    plain: Callable[[Endpoint], object]
    refused: type[Exception]


def password(endpoint: Endpoint) -> str:
    return Path(endpoint.admin_password_file).read_text(encoding="ascii")


def tls(endpoint: Endpoint) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=endpoint.ca_file)


def postgresql(to: Endpoint, **tls_options: str) -> psycopg.Connection:
    tls_options = tls_options or {"sslmode": "verify-full", "sslrootcert": to.ca_file}
    return psycopg.connect(
        host=to.address,
        port=to.port,
        dbname="postgres",
        user=to.admin_user,
        password=password(to),
        autocommit=True,
        **tls_options,
    )


def put_postgresql(to: Endpoint, text: str) -> None:
    with postgresql(to) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept (said text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (text,))


def get_postgresql(to: Endpoint) -> str:
    with postgresql(to) as connection:
        return str(connection.execute("SELECT said FROM kept").fetchone()[0])


def mariadb(to: Endpoint, **tls_options: object) -> pymysql.Connection:
    return pymysql.connect(
        host=to.address,
        port=to.port,
        user=to.admin_user,
        password=password(to),
        autocommit=True,
        **(tls_options or {"ssl": tls(to)}),
    )


def put_mariadb(to: Endpoint, text: str) -> None:
    with mariadb(to) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS kept")
        cursor.execute("CREATE OR REPLACE TABLE kept.kept (said text)")
        cursor.execute("INSERT INTO kept.kept VALUES (%s)", (text,))


def get_mariadb(to: Endpoint) -> str:
    with mariadb(to) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT said FROM kept.kept")
        return str(cursor.fetchone()[0])


def redis_client(to: Endpoint, **options: object) -> redis.Redis:
    return redis.Redis(
        host=to.address,
        port=to.port,
        username=to.admin_user,
        password=password(to),
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        **(options or {"ssl": True, "ssl_ca_certs": to.ca_file, "ssl_check_hostname": True}),
    )


def put_redis(to: Endpoint, text: str) -> None:
    with redis_client(to) as client:
        client.set("kept", text)


def get_redis(to: Endpoint) -> str:
    with redis_client(to) as client:
        return str(client.get("kept"))


def rabbitmq(to: Endpoint, *, plain: bool = False) -> pika.BlockingConnection:
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=to.address,
            port=to.port,
            credentials=pika.PlainCredentials(to.admin_user, password(to)),
            ssl_options=None if plain else pika.SSLOptions(tls(to), to.address),
        )
    )


def put_rabbitmq(to: Endpoint, text: str) -> None:
    with closing(rabbitmq(to)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.queue_purge("kept")
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        channel.basic_publish("", "kept", text.encode(), persistent)


def get_rabbitmq(to: Endpoint) -> str:
    with closing(rabbitmq(to)) as connection:
        _, _, body = connection.channel().basic_get("kept")  # unacknowledged: it stays
        return body.decode()


CLIENTS = {
    "postgresql": Client(
        put_postgresql,
        get_postgresql,
        lambda to: postgresql(to, sslmode="disable"),
        psycopg.OperationalError,
    ),
    "mariadb": Client(
        put_mariadb,
        get_mariadb,
        lambda to: mariadb(to, ssl_disabled=True),
        pymysql.err.OperationalError,
    ),
    "redis": Client(
        put_redis,
        get_redis,
        lambda to: redis_client(to, ssl=False).ping(),
        redis.exceptions.ConnectionError,
    ),
    "rabbitmq": Client(
        put_rabbitmq,
        get_rabbitmq,
        lambda to: rabbitmq(to, plain=True),
        pika.exceptions.AMQPConnectionError,
    ),
}


def everything_said(error: BaseException | None) -> str:
    """Some clients wrap what TLS says in errors of their own."""
    said = ""
    while error is not None:
        said += f"{error}\n"
        error = error.__cause__ or error.__context__
    return said


def endpoint_of(name: str, lab: settings.Settings) -> Endpoint:
    return next(endpoint for endpoint in endpoints(lab) if endpoint.engine == name)


def states(lab: settings.Settings) -> dict[str, str]:
    return {each.name: each.state for each in shared.status(shared.ENGINES, lab)}


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_our_authority_gets_in(name: str, lab: settings.Settings) -> None:
    to = endpoint_of(name, lab)
    CLIENTS[name].put(to, "政务云 ' \" \\ $")
    assert CLIENTS[name].get(to) == "政务云 ' \" \\ $"


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_another_authority_refuses_the_server(
    name: str, lab: settings.Settings, tmp_path: Path
) -> None:
    authority.ensure(tmp_path)
    stranger = replace(endpoint_of(name, lab), ca_file=str(tmp_path / "ca.crt"))
    with pytest.raises((CLIENTS[name].refused, ssl.SSLCertVerificationError)) as caught:
        CLIENTS[name].get(stranger)
    assert "certificate verify failed" in everything_said(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_without_tls_is_refused(name: str, lab: settings.Settings) -> None:
    with pytest.raises(CLIENTS[name].refused):
        CLIENTS[name].plain(endpoint_of(name, lab))


def test_the_brokers_management_speaks_tls_only(lab: settings.Settings) -> None:
    to = endpoint_of("rabbitmq", lab)
    with (
        socket.create_connection((to.address, to.management_port), 5) as plain,
        tls(to).wrap_socket(plain, server_hostname=to.address) as connection,
    ):
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
    with socket.create_connection((to.address, to.management_port), 5) as plain:
        plain.sendall(b"GET /api/overview HTTP/1.0\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP/")


def test_a_guessed_password_opens_nothing(
    lab: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.password", lambda _: "guessed")
    for name in NAMES:
        with pytest.raises((CLIENTS[name].refused, redis.exceptions.AuthenticationError)):
            CLIENTS[name].get(endpoint_of(name, lab))


def test_none_runs_as_root_and_nobody_reads_what_is_secret(lab: settings.Settings) -> None:
    for status in shared.status(shared.ENGINES, lab):
        assert Path("/proc", str(status.pid)).stat().st_uid != 0
        state = Path(endpoint_of(status.name, lab).admin_password_file).parent
        assert state.stat().st_mode & 0o077 == 0
        for secret in ("password", "tls/server.key", "tls/server.crt"):
            assert (state / secret).stat().st_mode & 0o777 == 0o600
    assert (lifecycle.authority_folder(lab) / "ca.key").stat().st_mode & 0o777 == 0o600


def test_what_they_hold_outlives_a_stop_and_kill_9(lab: settings.Settings) -> None:
    for name in NAMES:
        CLIENTS[name].put(endpoint_of(name, lab), "kept over a stop")
    assert shared.stop(shared.ENGINES, lab, QUIET) == NAMES
    assert set(states(lab).values()) == {"stopped"}
    shared.start(shared.ENGINES, lab, QUIET)
    for name in NAMES:
        assert CLIENTS[name].get(endpoint_of(name, lab)) == "kept over a stop"
        CLIENTS[name].put(endpoint_of(name, lab), "kept over kill -9")
    for status in shared.status(shared.ENGINES, lab):
        os.kill(status.pid or 0, signal.SIGKILL)
    give_up_at = time.monotonic() + 10
    while set(states(lab).values()) != {"died"}:
        assert time.monotonic() < give_up_at, states(lab)
    shared.start(shared.ENGINES, lab, QUIET)
    assert set(states(lab).values()) == {"running"}
    for name in NAMES:
        assert CLIENTS[name].get(endpoint_of(name, lab)) == "kept over kill -9"


def only_redis() -> tuple[Engine, ...]:
    return shared.chosen(["redis"])


def test_another_copy_lives_beside_it_and_leaves_nothing(
    lab: settings.Settings, tmp_path: Path
) -> None:
    other = lab_below(tmp_path)
    try:
        shared.start(only_redis(), other, QUIET)
        CLIENTS["redis"].put(endpoint_of("redis", other), "of the other")
        ours = endpoint_of("redis", lab)
        with pytest.raises(redis.exceptions.ConnectionError) as caught:
            CLIENTS["redis"].get(replace(endpoint_of("redis", other), ca_file=ours.ca_file))
        assert "certificate verify failed" in everything_said(caught.value)
        state = lifecycle.entrance(only_redis()[0], other).resolve()
        pid_file = lifecycle.server_of(only_redis()[0], other).pid_file
        process = processes.noted(pid_file)
    finally:
        shared.clean(other, QUIET)
    assert process is not None
    assert not process.alive()
    assert not state.exists()
    assert not other.home.exists()
    assert states(lab)["redis"] == "running"


def test_mariadbs_temporary_tables_are_where_no_other_server_removes_them(
    lab: settings.Settings,
) -> None:
    """One that starts removes all that lie in its folder for them, also those of a neighbour."""
    (engine,) = (each for each in shared.ENGINES if each.name == "mariadb")
    with closing(mariadb(endpoint_of("mariadb", lab))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@tmpdir")
        (folder,) = cursor.fetchone()
    assert Path(folder).is_relative_to(lifecycle.entrance(engine, lab).resolve())


def test_a_taken_port_names_who_holds_it(tmp_path: Path) -> None:
    other = lab_below(tmp_path)
    port = lifecycle.server_of(only_redis()[0], other).port
    try:
        with (
            socket.create_server((ports.LOOPBACK, port)),
            pytest.raises(LabError, match=f"{port} for redis is taken by process {os.getpid()}"),
        ):
            shared.start(only_redis(), other, QUIET)
        shared.start(only_redis(), other, QUIET)
    finally:
        shared.clean(other, QUIET)


def test_a_server_that_dies_at_its_start_names_its_log(tmp_path: Path) -> None:
    other = lab_below(tmp_path)
    try:
        shared.start(only_redis(), other, QUIET)
        shared.stop(only_redis(), other, QUIET)
        data = lifecycle.server_of(only_redis()[0], other).data
        (data / "users.acl").write_text("no access list\n", encoding="ascii")
        with pytest.raises(LabError, match=r"(?s)Redis did not start.*redis\.log.*users\.acl"):
            shared.start(only_redis(), other, QUIET)
    finally:
        shared.clean(other, QUIET)


def test_programs_that_are_not_there_are_named(tmp_path: Path) -> None:
    nothing = settings.load(
        environment={
            "LAB_HOME": str(tmp_path / "lab"),
            "LAB_SERVICES__DEBIAN_ROOT": str(tmp_path / "nothing"),
        }
    )
    with pytest.raises(LabError) as caught:
        shared.start(shared.chosen(["mariadb", "redis", "rabbitmq"]), nothing, QUIET)
    for program in ("usr/sbin/mariadbd", "usr/bin/redis-server", "usr/lib/erlang/bin/erl"):
        assert program in str(caught.value)
    assert "services.debian_root in lab/settings.toml" in str(caught.value)
    shared.clean(nothing, QUIET)
