"""The embedded Kubernetes as a whole: start, stop, status, reset."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from lab import away, ports, unprivileged
from lab.errors import LabError
from lab.kubernetes import (
    CONTROL_PLANE,
    builds,
    contents,
    credentials,
    inventory,
    launcher,
    node,
    paths,
    pods,
    record,
)
from lab.kubernetes.commands import HEALTH
from lab.kubernetes.context import Context
from lab.kubernetes.launcher import Launcher
from lab.kubernetes.paths import Paths
from lab.part import ServiceStatus, service_status, turn
from lab.progress import Progress
from lab.settings import Settings
from lab.unprivileged import User

PORT_TIMEOUT_S = 3


@dataclass(frozen=True)
class Status:
    """The cluster as it is now; `pods` is `real`, `none` or `undecided`, `reason` says why."""

    ready: bool
    version: str
    pods: str
    reason: str
    kubeconfig: str
    kubectl: str
    state: str
    port_offset: int | None
    rss_mib: int
    services: tuple[ServiceStatus, ...]
    node: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def start(settings: Settings, progress: Progress) -> Status:
    """Does everything that is missing until the cluster is ready.

    Raises LabError; then nothing that it started runs on.
    """
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        before = status(settings)
        if before.ready:
            inventory.write(_decide(settings, progress)[0])
            return before
        for service in before.services:
            if service.fault:
                progress.say(service.fault)
        context, user = _decide(settings, progress)
        _build(context, progress)
        missing = missing_of(before)
        _bring_up(context, Launcher(context, user), missing, progress)
        inventory.write(context)
        return status(settings)


def build(settings: Settings, progress: Progress) -> str:
    """Makes what `start` would find missing and starts nothing; `real` or `none`: whether pods will
    run. Raises LabError."""
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        context, _ = _decide(settings, progress)
        _build(context, progress)
        return context.record.pods


def _build(context: Context, progress: Progress) -> None:
    go = context.settings.kubernetes.go
    has_node = context.record.pods == "real"
    # Together: they are made of the same modules, which are gone again afterwards.
    wanted = (builds.KUBERNETES, *builds.NODE) if has_node else (builds.KUBERNETES,)
    builds.ensure(context.paths.made, wanted, go, progress)
    if has_node:
        node.prepare(context, progress)


def stop(settings: Settings, progress: Progress) -> list[str]:
    """Ends node and control plane; returns the names of what ran. Objects and volumes are kept."""
    if not settings.home.exists():
        return []
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        return _stop(where, progress)


def reset(settings: Settings, progress: Progress) -> None:
    """Stops everything and wipes the state; programs, images and the ports stay."""
    if not settings.home.exists():
        return
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        _stop(where, progress)
        with progress.step("wipe the state"):
            paths.wipe_state(settings)


def clean(settings: Settings, progress: Progress) -> None:
    """Stops everything and removes all that the embedded Kubernetes has made."""
    if not settings.home.exists():
        return
    where = paths.paths_of(settings)
    with turn(where.home, where.lock):
        _stop(where, progress)
    with progress.step("remove state, programs and images"):
        paths.wipe_all(settings)


def status(settings: Settings) -> Status:
    """What runs now; changes nothing."""
    where = paths.paths_of(settings)
    known = record.read(where)
    context = _context(settings, where, known) if known else None
    with ThreadPoolExecutor() as pool:  # side by side: one that hangs costs its time limit
        asked = [pool.submit(_service_status, where, context, name) for name in CONTROL_PLANE]
        nodes = node.status(context) if context and known and known.pods == "real" else None
        found = tuple(one.result() for one in asked)
    if nodes is not None:
        found += (_node_status(where, nodes),)
    return Status(
        ready=all(service.state == "ready" for service in found),
        version=builds.version("k8s.io/kubernetes"),
        pods=known.pods if known else "undecided",
        reason=known.reason if known else "never started",
        kubeconfig=str(where.kubeconfig),
        kubectl=str(where.kubectl),
        state=str(where.state),
        port_offset=known.port_offset if known else None,
        rss_mib=sum(service.rss_mib for service in found),
        services=found,
        node=asdict(nodes) if nodes else {},
    )


def _decide(settings: Settings, progress: Progress) -> tuple[Context, User]:
    """What a state stands on: as its record says, or decided and recorded now for a new one."""
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)
    where = paths.lay_out(settings, user)
    known = record.read(where)
    offset = ports.block_offset(settings.ports, where.ports)
    if known is None:
        choice = pods.choose(settings, where, progress)
        progress.say(f"pods: {choice.pods} ({choice.reason})")
        known = record.new(settings, user, choice.pods, choice.reason, offset)
        record.write(where, known)
    record.refuse_another(known, settings, user, offset)
    return _context(settings, where, known), user


def _context(settings: Settings, where: Paths, known: record.Record) -> Context:
    return Context(settings, where, known, builds.folder(where.made))


def missing_of(before: Status) -> list[str]:
    """What is to be started of the control plane. Those who watch a new API server start again with
    it: each would come back to it only after up to a minute, and the scheduler ends itself where
    what it remembers does not hold any more."""
    ready = {service.name for service in before.services if service.state == "ready"}
    if "kube-apiserver" in ready:
        return [name for name in CONTROL_PLANE if name not in ready]
    return [name for name in CONTROL_PLANE if name != "etcd" or name not in ready]


def _bring_up(context: Context, starter: Launcher, missing: list[str], progress: Progress) -> None:
    """Control plane and node side by side. Whatever fails, nothing that it started runs on."""
    where = context.paths
    launcher.end(where, missing)  # what a killed launcher left half-started
    _refuse_taken_ports(context, missing)
    started: dict[str, subprocess.Popen[bytes]] = {}
    node_is_new = False
    try:
        credentials.write(context, starter.user)
        away.remove(where.kubectl)
        where.kubectl.symlink_to(context.programs / "kubectl")
        if context.record.pods == "real":
            node_is_new = node.up(context, progress)
        with progress.step("etcd, API server"):
            for name in ("etcd", "kube-apiserver"):
                if name in missing:
                    started[name] = starter.spawn(name)
            if "kube-apiserver" in started:
                starter.wait_healthy("kube-apiserver", started["kube-apiserver"])
        with progress.step("controllers, scheduler"):
            for name in ("kube-controller-manager", "kube-scheduler"):
                if name in missing:
                    started[name] = starter.spawn(name)
            contents.apply(context.api())
            for name, process in started.items():
                starter.wait_healthy(name, process)
        if context.record.pods == "real":
            with progress.step("node"):
                node.wait_ready(context)
    except BaseException:  # an interrupt from the keyboard too
        launcher.end(where, list(started))
        if node_is_new:
            node.down(where)
        raise


def _refuse_taken_ports(context: Context, missing: list[str]) -> None:
    """What was just ended may hold its port a moment longer, until its last thread is gone."""
    give_up_at = time.monotonic() + PORT_TIMEOUT_S
    for name in (each for each in missing if each in HEALTH):
        while True:
            try:
                ports.listen(name, context.ports[HEALTH[name][0]]).close()
                break
            except LabError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.1)


def _stop(where: Paths, progress: Progress) -> list[str]:
    ended = []
    if os.geteuid() == 0 and where.node.exists():
        with progress.step("stop the node"):
            ended += ["node"] * node.down(where)
    with progress.step("stop the control plane"):
        ended += launcher.end(where)
    return ended


def _service_status(where: Paths, context: Context | None, name: str) -> ServiceStatus:
    port = HEALTH.get(name)
    return service_status(
        name,
        where.pid(name),
        is_ready=lambda: context is not None and launcher.is_healthy(context, name),
        describe_death=lambda: launcher.describe_death(where, name),
        endpoint=context.url(port[0]) if context and port else "",
        log=where.log(name),
    )


def _node_status(where: Paths, now: node.Node) -> ServiceStatus:
    return ServiceStatus(
        name="node",
        state=now.state,
        pid=now.pid,
        rss_mib=sum(daemon.rss_mib for daemon in now.daemons),
        endpoint=now.address,
        log=str(where.log("node")),
        fault=launcher.describe_death(where, "node") if now.state == "died" else "",
    )
