"""The life of one server of this checkout: started, stopped, asked, wiped, whatever its engine.

A server is the process noted in its state. Others that work in its state folder and execute the
engine's programs are its own too: helpers, or what somebody's kill left.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from lab import away, part, ports, processes, unprivileged
from lab.errors import LabError
from lab.processes import Process
from lab.progress import Progress
from lab.services import authority
from lab.services.engine import PASSWORD_BYTES, Command, Engine, Server, tail
from lab.settings import Settings
from lab.unprivileged import User

START_TIMEOUT_S = 90
BUSY_TIMEOUT_S = 15
#: For an orderly end: a server writes to disk what it holds in memory.
STOP_GRACE_S = 30
HELPERS_GRACE_S = 5
POLL_S = 0.05

State = Literal["running", "silent", "died", "stopped"]


@dataclass(frozen=True)
class Status:
    """A server as it is now.

    `silent`: it runs but its administrator gets no answer; `died`: it is gone without a stop.
    """

    name: str
    state: State
    pid: int | None
    rss_mib: int
    port: int
    log: str
    fault: str


def services_folder(settings: Settings) -> Path:
    return settings.home / "services"


def authority_folder(settings: Settings) -> Path:
    return services_folder(settings) / "authority"


def entrance(engine: Engine, settings: Settings) -> Path:
    """A server's state by its name in the checkout: a folder, or a link to one elsewhere."""
    return services_folder(settings) / engine.name


def turn(settings: Settings) -> AbstractContextManager[None]:
    """One start, stop or reset at a time. Raises LabError if the home is another user's."""
    return part.turn(settings.home, settings.home / "services.lock")


def user_of(settings: Settings) -> User:
    """Who servers run as."""
    return unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)


def server_of(engine: Engine, settings: Settings) -> Server:
    """The engine's server of this checkout, whether it was ever started or not."""
    offset = ports.block_offset(settings.ports, settings.home / "ports.json")
    numbers = ports.numbers(settings.ports, offset)
    return Server(
        name=engine.name,
        state=entrance(engine, settings).resolve(),
        programs=engine.locate(settings),
        user=user_of(settings),
        ports={name: numbers[name] for name in (engine.name, *engine.other_ports)},
    )


def existing(engine: Engine, settings: Settings) -> Server | None:
    """The server of a state that is there. Raises LabError if it belongs to another user."""
    state = entrance(engine, settings).resolve()
    if not state.exists():
        return None
    user = user_of(settings)
    if state.stat().st_uid != (os.geteuid() if user.uid is None else user.uid):
        if os.geteuid() == 0 and not any(state.iterdir()):
            return None  # it was made reachable, and no more
        raise LabError(
            f"{state} belongs to another user: run this as the user who started it, "
            "or set LAB_HOME to a folder of your own"
        )
    return server_of(engine, settings)


def prepare(settings: Settings) -> authority.Pair:
    """What servers have in common, before any of them starts: ports, a cache that their user
    reaches, and the authority, which is returned. The caller has the turn."""
    ports.block_offset(settings.ports, settings.home / "ports.json")
    away.make_reachable(settings.cache, user_of(settings), "python -m lab.openstack clean")
    return authority.ensure(authority_folder(settings))


def start(engine: Engine, settings: Settings, signer: authority.Pair, progress: Progress) -> Server:
    """Does everything that is missing until the server answers, after `prepare`.

    Raises LabError; then nothing that it started runs on.
    """
    user = user_of(settings)
    engine.install(settings, user, progress)
    away.make_reachable(entrance(engine, settings), user, "python -m lab.services clean")
    server = existing(engine, settings) or server_of(engine, settings)
    _make_state(server)
    renewed = authority.certify(signer, engine.name, _addresses(settings), server.tls, user)
    if _process(server) is not None:
        if not renewed and _answers_soon(engine, server):
            return server
        why = "it has a new certificate" if renewed else "it does not answer"
        progress.say(f"{engine.title} starts again: {why}")
        _end(engine, server)
    with progress.step(engine.title):
        _start_fresh(engine, server)
    return server


def stop(engine: Engine, server: Server, progress: Progress) -> bool:
    """Ends it in order; returns whether it ran. The caller has the turn."""
    if _process(server) is None and not _workers(engine, server):
        server.pid_file.unlink(missing_ok=True)
        return False
    with progress.step(f"stop {engine.title}"):
        _end(engine, server)
    return True


def status(engine: Engine, server: Server) -> Status:
    """What runs now; touches nothing."""
    process = processes.noted(server.pid_file)
    state: State
    if process is None:
        state = "stopped"
    elif not process.alive():
        state, process = "died", None
    else:
        state = "running" if engine.answers(server) else "silent"
    faults = {
        "died": f"{engine.title} died\n{_last_words(server)}",
        "silent": f"{engine.title} runs but does not answer\n  log: {server.log}",
    }
    return Status(
        name=engine.name,
        state=state,
        pid=process.pid if process else None,
        rss_mib=process.rss_mib() if process else 0,
        port=server.port,
        log=str(server.log),
        fault=faults.get(state, ""),
    )


def wipe(engine: Engine, settings: Settings) -> None:
    """Removes the state of a server that does not run."""
    away.remove_with_link(entrance(engine, settings))


def tidy(settings: Settings) -> None:
    """Removes what servers have in common, once none of them has a state any more.

    The block of ports is given back unless another part of the lab has something in this home.
    """
    folder = services_folder(settings)
    authority_and_inventory = {"authority", "inventory.yml"}
    if folder.exists() and {path.name for path in folder.iterdir()} - authority_and_inventory:
        return
    for path in (folder, settings.home / "services.lock"):
        away.remove(path)
    memory = settings.home / "ports.json"
    with contextlib.suppress(OSError):  # not there, or not empty
        settings.cache.rmdir()
    if settings.home.exists() and all(path == memory for path in settings.home.iterdir()):
        ports.forget(memory)
        settings.home.rmdir()


def _addresses(settings: Settings) -> tuple[IPv4Address, IPv4Address]:
    """Where clients reach a server: on this machine, and from pods at their node's gateway."""
    return IPv4Address(ports.LOOPBACK), settings.kubernetes.ranges.node_link[2]


def _make_state(server: Server) -> None:
    server.state.mkdir(parents=True, exist_ok=True)
    server.state.chmod(0o700)
    server.user.give(server.state)
    if not server.password_file.exists() or not server.password():
        server.write(server.password_file, secrets.token_urlsafe(PASSWORD_BYTES))


def _start_fresh(engine: Engine, server: Server) -> None:
    _end(engine, server)  # what a kill left
    if not server.data.exists():
        fresh = server.state / "data.new"
        away.remove(fresh)
        fresh.mkdir(mode=0o700)
        server.user.give(fresh)
        engine.initialise(server, fresh)
        fresh.rename(server.data)
    engine.configure(server)
    for name, port in server.ports.items():
        ports.listen(name, port).close()
    log_start = server.log.stat().st_size if server.log.exists() else 0
    try:
        for companion in engine.companions(server):
            _spawn(server, companion)
        process = _spawn(server, engine.command(server))
        processes.note(process.pid, server.pid_file)
        _wait(engine, server, process, log_start)
    except BaseException:  # an interrupt from the keyboard too
        _end(engine, server)
        raise


def _spawn(server: Server, command: Command) -> subprocess.Popen[bytes]:
    """Starts a process that outlives the launcher; what it says goes to the server's log."""
    if not server.log.exists():
        server.write(server.log, "")
    with server.log.open("ab") as log:
        return subprocess.Popen(
            [str(part) for part in command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=server.state,
            env=server.environment(**command.environment),
            umask=0o077,
            **server.user.popen_options(),
        )


def _wait(engine: Engine, server: Server, process: subprocess.Popen[bytes], log_start: int) -> None:
    """Returns when it answers. Raises LabError with what its log says from `log_start` on."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not engine.answers(server):
        if process.poll() is not None:
            raise LabError(f"{engine.title} did not start\n{_last_words(server, log_start)}")
        if time.monotonic() > deadline:
            raise LabError(
                f"{engine.title} does not answer {START_TIMEOUT_S} s after its start\n"
                f"{_last_words(server, log_start)}"
            )
        time.sleep(POLL_S)


def _answers_soon(engine: Engine, server: Server) -> bool:
    """Of a server that runs: one that is merely busy is left alone."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while not engine.answers(server):
        if _process(server) is None or time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _end(engine: Engine, server: Server) -> None:
    process = _process(server)
    if process is not None:
        process.signal(engine.ends_on)
        deadline = time.monotonic() + STOP_GRACE_S
        while process.alive() and time.monotonic() < deadline:
            time.sleep(POLL_S)
    # Then its helpers, what a kill left, and at last a server that would not end.
    for number, grace_s in ((engine.ends_on, HELPERS_GRACE_S), (signal.SIGKILL, STOP_GRACE_S)):
        for pid in _workers(engine, server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace_s
        while _workers(engine, server) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    noted = processes.noted(server.pid_file)
    if noted is not None:
        noted.reap()
    server.pid_file.unlink(missing_ok=True)


def _process(server: Server) -> Process | None:
    """The noted process, if it is alive."""
    process = processes.noted(server.pid_file)
    return process if process is not None and process.alive() else None


def _workers(engine: Engine, server: Server) -> list[int]:
    """Pid of every process of the engine's programs that works in the server's state folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            at = (folder / "cwd").readlink()
            program = (folder / "exe").readlink().name.removesuffix(" (deleted)")
        except OSError:  # it is gone, or another user's
            continue
        if at.is_relative_to(server.state) and program in engine.executables:
            found.append(int(folder.name))
    return found


def _last_words(server: Server, log_start: int = 0) -> str:
    said = ""
    with contextlib.suppress(OSError), server.log.open("rb") as log:
        log.seek(log_start)
        said = log.read().decode("utf-8", "replace")
    return f"  log: {server.log}\n{tail(said) or '  it said nothing'}"
