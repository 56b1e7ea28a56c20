"""The embedded OpenStack as a whole: start, stop, status, reset."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

from lab import ports, unprivileged
from lab.errors import LabError
from lab.openstack import (
    SERVICES,
    config,
    contents,
    handover,
    object_storage,
    paths,
    planes,
    record,
    services,
    venv,
)
from lab.openstack.config import Context
from lab.openstack.paths import Paths
from lab.openstack.services import Launcher
from lab.openstack.startup import Startup
from lab.part import ServiceStatus, service_status, turn
from lab.progress import Progress
from lab.settings import Settings
from lab.unprivileged import User


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
    #: Why no object can be kept here; empty where one can.
    without_object_storage: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def start(settings: Settings, progress: Progress) -> Status:
    """Does everything that is missing until the cloud is ready and has its first contents.

    Raises LabError; then none of the services that it started runs on.
    """
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        before = status(settings)
        if before.ready and where.seeded.exists():
            return before
        for service in before.services:
            if service.state == "died":
                progress.say(service.fault)
        context, user = _decide(settings, record.read(where), progress)
        plane = planes.plane(context.record.data_plane)
        launcher = Launcher(context.paths, user)
        absent = _absent(context.paths, progress)
        missing = [s.name for s in before.services if s.state != "ready" and s.name not in absent]
        if missing:
            services.end(context.paths, missing)  # what a killed launcher left half-started
            _bring_up(context, plane, launcher, missing, progress)
        _fill(context, plane, launcher, progress)
        return status(settings)


def _decide(
    settings: Settings, known: record.Record | None, progress: Progress
) -> tuple[Context, User]:
    """What a state stands on: as its record says, or decided and recorded now for a new one."""
    choice = planes.Choice(known.data_plane, known.reason) if known else _choose(settings, progress)
    needs_root = planes.plane(choice.name).needs_root
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=needs_root)
    where = paths.lay_out(settings, user)
    offset = ports.block_offset(settings.ports, where.ports)
    if known is None:
        known = record.new(settings, user, choice.name, choice.reason, offset)
        record.write(where, known)
    _refuse_another(known, settings, user, offset)
    return Context(settings, where, known, ports.numbers(settings.ports, offset)), user


def _absent(where: Paths, progress: Progress) -> tuple[str, ...]:
    """Services that cannot stand on this machine; the others go without them."""
    reason = object_storage.decide(where)
    if not reason:
        return ()
    progress.say(f"no object storage: {reason}")
    return ("swift",)


def stop(settings: Settings, progress: Progress) -> list[str]:
    """Ends the services, then the data plane; returns the names of the services that ran."""
    if not settings.home.exists():
        return []
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        return _stop(settings, where, progress)


def reset(settings: Settings, progress: Progress) -> None:
    """Stops everything and wipes the state; the venv, the caches and the ports stay."""
    if not settings.home.exists():
        return
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        data_plane = record.data_plane(where)
        _stop(settings, where, progress)
        with progress.step("wipe the state"):
            if data_plane is not None:
                planes.plane(data_plane).wipe(settings)
            paths.wipe_state(where)


def clean(settings: Settings, progress: Progress) -> None:
    """Stops everything and removes every file that the embedded OpenStack has made."""
    if not settings.home.exists():
        return
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        _stop(settings, where, progress)
        # Also where no cloud stands: preparing for real machines may have failed half-way.
        if os.geteuid() == 0 and planes.is_there():
            with progress.step("undo the changes to this machine"):
                planes.RealPlane().purge(settings, where, progress.say)
    with progress.step("remove state, venv and caches"):
        paths.wipe_all(settings)


def status(settings: Settings) -> Status:
    """What runs now; touches nothing."""
    where = paths.paths_of(settings)
    known = record.read(where)
    offset = known.port_offset if known else None
    numbers = ports.numbers(settings.ports, offset) if offset is not None else {}
    without = object_storage.absence(where)
    names = [service for service in SERVICES if not (without and service == "swift")]
    found = tuple(_service_status(where, service, numbers.get(service)) for service in names)
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
        without_object_storage=without,
    )


def _choose(settings: Settings, progress: Progress) -> planes.Choice:
    if settings.data_plane == "none":
        return planes.choose(settings, progress.say)
    with progress.step("can real machines run here?"):
        choice = planes.choose(settings, progress.say)
    progress.say(f"data plane: {choice.name} ({choice.reason})")
    return choice


def _service_status(where: Paths, name: str, port: int | None) -> ServiceStatus:
    path = config.PATH_AFTER_PORT.get(name, "")
    return service_status(
        name,
        where.pid(name),
        is_ready=lambda: services.ready_since_start(where, name),
        describe_death=lambda: services.describe_death(where, name),
        endpoint=f"http://{ports.LOOPBACK}:{port}{path}" if port else "",
        log=where.oslo_log(name),
    )


def _bring_up(
    context: Context,
    plane: planes.Plane,
    launcher: Launcher,
    missing: list[str],
    progress: Progress,
) -> None:
    settings, where = context.settings, context.paths
    listeners = _listen(context, missing)
    try:
        if not venv.is_current(where):
            with progress.step("Python environment of the services"):
                venv.install(where, launcher.user)
        if plane.needs_root:
            with progress.step("network and hypervisor"):
                plane.up(settings, where, progress.say)
        config.write(context, plane.options(settings, where))
        object_storage.write(context)
        handover.write(context)
        services.copy_code(where)
        Startup(context, launcher, listeners, progress).run()
    finally:
        for listener in listeners.values():
            listener.close()


def _fill(context: Context, plane: planes.Plane, launcher: Launcher, progress: Progress) -> None:
    """Makes the first contents, unless those of these very settings were made."""
    where = context.paths
    order = contents.order(context, plane.images(context.settings, where, progress.say))
    fingerprint = contents.fingerprint(order)
    if where.seeded.exists() and where.seeded.read_text(encoding="ascii") == fingerprint:
        return
    with progress.step("zones, volume types, image, external network"):
        launcher.seed(order)
    where.seeded.write_text(fingerprint, encoding="ascii")


def _stop(settings: Settings, where: Paths, progress: Progress) -> list[str]:
    data_plane = record.data_plane(where)
    with progress.step("stop the services"):
        ended = services.end(where, SERVICES)
    if data_plane is not None:
        planes.plane(data_plane).down(settings, where, progress.say)
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


def _refuse_another(known: record.Record, settings: Settings, user: User, offset: int) -> None:
    """A state keeps the data plane, the user and the ports it was made with."""
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
    if known.port_offset != offset:
        raise LabError(
            f"this state's service catalogue names the ports at offset {known.port_offset}, not "
            f"{offset}: run `python -m lab.openstack reset` first"
        )
