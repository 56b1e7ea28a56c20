"""The embedded OpenStack as a whole: start, stop, status, reset."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lab import ports, processes, unprivileged
from lab.errors import LabError
from lab.openstack import SERVICES, config, contents, paths, planes, record, services, venv
from lab.openstack.config import Context
from lab.openstack.paths import Paths
from lab.openstack.services import Launcher
from lab.openstack.startup import Startup
from lab.progress import Progress
from lab.settings import Settings


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now; `died`: it was started and is gone without a stop."""

    name: str
    state: Literal["ready", "starting", "died", "stopped"]
    pid: int | None
    rss_mib: int
    endpoint: str
    log: str
    fault: str


@dataclass(frozen=True)
class Status:
    """The cloud as it is now."""

    ready: bool
    data_plane: str
    reason: str
    clouds_yaml: str
    state: str
    port_offset: int | None
    rss_mib: int
    services: tuple[ServiceStatus, ...]
    plane: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def start(settings: Settings, progress: Progress) -> Status:
    """Does everything that is missing until the cloud is ready and has its first contents.

    Raises LabError; services that run by then are ended again unless they ran before.
    """
    where = paths.paths_of(settings)
    with _locked(where):
        before = status(settings)
        if before.ready and where.seeded.exists():
            return before
        for service in before.services:
            if service.state == "died":
                progress.say(service.fault)
        known = record.read(where)
        choice = _choose(settings, progress) if known is None else None
        plane = planes.plane(choice.name if choice else known.data_plane)  # type: ignore[union-attr]
        user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=plane.needs_root)
        where = paths.lay_out(settings, user)
        if known is None:
            assert choice is not None
            known = record.new(settings, user, choice.name, choice.reason)
            record.write(where, known)
        _refuse_another(known, settings, user)
        offset = ports.block_offset(settings.ports, where.ports)
        context = Context(settings, where, known, ports.numbers(settings.ports, offset))
        missing = [s.name for s in before.services if s.state in ("died", "stopped")]
        listeners = _listen(context, missing)
        try:
            _bring_up(context, plane, Launcher(where, user), listeners, progress)
        finally:
            for listener in listeners.values():
                listener.close()
        return status(settings)


def stop(settings: Settings, progress: Progress) -> list[str]:
    """Ends the services, then the data plane; returns the names of the services that ran."""
    where = paths.paths_of(settings)
    if not where.home.exists():
        return []
    with _locked(where):
        return _stop(settings, where, progress)


def reset(settings: Settings, progress: Progress) -> None:
    """Stops everything and wipes the state; the venv, the caches and the ports stay."""
    where = paths.paths_of(settings)
    if not where.home.exists():
        return
    with _locked(where):
        known = record.read(where)
        _stop(settings, where, progress)
        with progress.step("wipe the state"):
            if known is not None:
                planes.plane(known.data_plane).wipe(settings)
            paths.wipe_state(where)


def clean(settings: Settings, progress: Progress) -> None:
    """Stops everything and removes every file that the embedded OpenStack has made."""
    where = paths.paths_of(settings)
    if not where.home.exists():
        return
    with _locked(where):
        _stop(settings, where, progress)
        # Also where no cloud stands: preparing for real machines may have failed half-way.
        if os.geteuid() == 0 and planes.is_there():
            with progress.step("undo the changes to this machine"):
                planes.RealPlane().purge(settings, where, progress.say)
    with progress.step("remove state, venv and caches"):
        paths.wipe_all(where)


def status(settings: Settings) -> Status:
    """What runs now; touches nothing."""
    where = paths.paths_of(settings)
    known = record.read(where)
    offset = None
    numbers = {}
    if known is not None:
        with contextlib.suppress(FileNotFoundError):
            offset = ports.remembered_offset(settings.ports, where.ports)
            numbers = ports.numbers(settings.ports, offset)
    found = tuple(_service_status(where, service, numbers.get(service)) for service in SERVICES)
    plane = planes.plane(known.data_plane) if known else planes.NoPlane()
    return Status(
        ready=all(service.state == "ready" for service in found),
        data_plane=known.data_plane if known else "undecided",
        reason=known.reason if known else "never started",
        clouds_yaml=str(where.clouds_yaml),
        state=str(where.state),
        port_offset=offset,
        rss_mib=sum(service.rss_mib for service in found),
        services=found,
        plane=plane.status(settings, where) if known else {},
    )


def _choose(settings: Settings, progress: Progress) -> planes.Choice:
    if settings.data_plane == "none":
        return planes.choose(settings, progress.say)
    with progress.step("can real machines run here?"):
        choice = planes.choose(settings, progress.say)
    progress.say(f"data plane: {choice.name} ({choice.reason})")
    return choice


def _service_status(where: Paths, name: str, port: int | None) -> ServiceStatus:
    process = processes.noted(where.pid(name))
    state: Literal["ready", "starting", "died", "stopped"]
    if process is None:
        state = "stopped"
    elif not process.alive():
        state = "died"
    else:
        state = "ready" if services.ready_since_start(where, name) else "starting"
    alive = process is not None and state in ("ready", "starting")
    return ServiceStatus(
        name=name,
        state=state,
        pid=process.pid if process and alive else None,
        rss_mib=process.rss_mib() if process and alive else 0,
        endpoint=f"http://{ports.LOOPBACK}:{port}{config.PATH_AFTER_PORT.get(name, '')}"
        if port
        else "",
        log=str(where.oslo_log(name)),
        fault=services.describe_death(where, name) if state == "died" else "",
    )


def _bring_up(
    context: Context,
    plane: planes.Plane,
    launcher: Launcher,
    listeners: dict[str, socket.socket],
    progress: Progress,
) -> None:
    settings, where = context.settings, context.paths
    if not venv.is_current(where):
        with progress.step("Python environment of the services"):
            venv.install(where, launcher.user)
    if plane.needs_root:
        with progress.step("network and hypervisor"):
            plane.up(settings, where, progress.say)
    config.write(context, plane.options(settings, where))
    services.copy_code(where)
    Startup(context, launcher, listeners, progress).run()
    images = plane.images(settings, where, progress.say)
    order = contents.order(context, images)
    fingerprint = contents.fingerprint(order)
    if not where.seeded.exists() or where.seeded.read_text(encoding="ascii") != fingerprint:
        with progress.step("zones, volume types, image, external network"):
            launcher.seed(order)
        where.seeded.write_text(fingerprint, encoding="ascii")


def _stop(settings: Settings, where: Paths, progress: Progress) -> list[str]:
    known = record.read(where)
    with progress.step("stop the services"):
        ended = services.end_all(where)
    if known is not None:
        planes.plane(known.data_plane).down(settings, where, progress.say)
    return ended


def _listen(context: Context, names: list[str]) -> dict[str, socket.socket]:
    listeners: dict[str, socket.socket] = {}
    try:
        for name in names:
            listeners[name] = ports.listen(name, context.ports[name])
    except LabError:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


def _refuse_another(known: record.Record, settings: Settings, user: unprivileged.User) -> None:
    """A state keeps the data plane and the user it was made with."""
    if settings.data_plane not in ("auto", known.data_plane):
        raise LabError(
            f"this state was made with the data plane `{known.data_plane}`, not "
            f"`{settings.data_plane}`: run `python -m lab.openstack reset` first"
        )
    uid = os.geteuid() if user.uid is None else user.uid
    if known.uid != uid:
        raise LabError(
            f"this state belongs to user {known.uid}, the services would now run as {uid}: start "
            "it as before, or run `python -m lab.openstack reset` first"
        )


@contextlib.contextmanager
def _locked(where: Paths) -> Iterator[None]:
    """One start, stop or reset at a time."""
    where.home.mkdir(parents=True, exist_ok=True)
    try:
        file = where.lock.open("a")
    except PermissionError as error:
        raise LabError(
            f"{where.home} belongs to another user: run this as that user, or set LAB_HOME"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
