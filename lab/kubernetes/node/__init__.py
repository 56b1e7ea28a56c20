"""The node: one machine of the cluster, in namespaces of its own on this one.

The launcher's whole view of it. Everything a node does to a machine (mounts, network, packet
filter, kernel settings, processes) happens inside the namespaces and ends with them; outside are
one veth pair with its routes, the fence around the lab's ranges, and a folder of cgroups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lab import log_programs, processes, ranges
from lab.errors import LabError
from lab.kubernetes import images
from lab.kubernetes.api import ApiError
from lab.kubernetes.context import NODE_NAME, Context
from lab.kubernetes.launcher import describe_death, wait_for
from lab.kubernetes.node import cgroups, kernel, namespaces, network, tools
from lab.kubernetes.node.handover import cgroup_of, facts_of
from lab.kubernetes.node.network import Link
from lab.kubernetes.paths import Paths
from lab.progress import Progress

#: The node's first process ends the pods first.
STOP_GRACE_S = 12.0


@dataclass(frozen=True)
class Daemon:
    """A program that runs in the node; `deaths` counts how often it was started again."""

    name: str
    pid: int | None
    rss_mib: int
    deaths: int
    log: str


@dataclass(frozen=True)
class Node:
    """The node as it is now."""

    state: Literal["ready", "starting", "died", "stopped"]
    pid: int | None
    address: str
    link: str
    fenced: bool
    daemons: tuple[Daemon, ...]


def probe(paths: Paths) -> str:
    """Why no node can run on this machine; empty if one can. Runs as root."""
    try:
        environment = tools.environment(tools.ensure(paths.made))
    except LabError as error:
        return str(error)
    return kernel.probe(paths.state, environment)


def prepare(context: Context, progress: Progress) -> None:
    """Builds the node's images and gets its Debian tools, as far as missing; its programs are
    built with the cluster's."""
    settings, made = context.settings, context.paths.made
    ranges.check(
        settings.kubernetes.ranges, own=[Link.of(context.paths).name], table="kubernetes.ranges"
    )
    tools.ensure(made)
    images.ensure(made, progress)
    log_programs.ensure(made, progress.say)


def up(context: Context, progress: Progress) -> bool:
    """Makes the namespaces and the network and starts the node's programs in them; a node that
    runs and is connected stays as it is. Returns whether it made one."""
    paths, link = context.paths, Link.of(context.paths)
    network.fence(link, _ranges(context))
    process = processes.noted(paths.pid("node"))
    if process is not None and process.alive() and network.is_connected(link):
        _load_images(context, process.pid, progress)
        return False
    _take_down(paths)  # what a node that died has left
    try:
        with progress.step("node: namespaces, network, containerd"):
            pid = _start(context, link)
        _load_images(context, pid, progress)
    except BaseException:
        down(paths)
        raise
    return True


def _start(context: Context, link: Link) -> int:
    paths = context.paths
    paths.node.mkdir(mode=0o700, exist_ok=True)
    facts = facts_of(context, kernel.snapshotter(paths.state))
    cgroups.make(facts.cgroup)
    pid = namespaces.start(paths, facts, tools.environment(tools.ensure(paths.made)))
    network.connect(link, facts, pid)
    wait_for(
        lambda: _containerd_answers(context, pid),
        context,
        "containerd is not ready",
        paths.log("containerd"),
    )
    return pid


def wait_ready(context: Context) -> None:
    """Returns when the node takes pods. Raises LabError naming the log."""
    paths = context.paths

    def check() -> bool:
        process = processes.noted(paths.pid("node"))
        if process is None or not process.alive():
            raise LabError(describe_death(paths, "node"))
        return _is_ready(context)

    wait_for(check, context, "the node is not ready", paths.log("kubelet"))


def down(paths: Paths) -> bool:
    """Ends the node and takes it off the machine, the fence last; returns whether it ran."""
    ran = _take_down(paths)
    network.unfence(Link.of(paths))
    return ran


def status(context: Context) -> Node:
    """What runs now; changes nothing."""
    paths, link = context.paths, Link.of(context.paths)
    process = processes.noted(paths.pid("node"))
    state: Literal["ready", "starting", "died", "stopped"]
    if process is None:
        state = "stopped"
    elif not process.alive():
        state = "died"
    else:
        state = "ready" if _is_ready(context) else "starting"
    alive = process if state in ("ready", "starting") else None
    return Node(
        state=state,
        pid=alive.pid if alive else None,
        address=str(context.node_address),
        link=link.name,
        fenced=network.is_fenced(link, _ranges(context)),
        daemons=tuple(_daemons(paths, alive.pid)) if alive else (),
    )


def _ranges(context: Context) -> list[str]:
    return [str(network) for network in context.ranges.networks().values()]


def _take_down(paths: Paths) -> bool:
    process = processes.noted(paths.pid("node"))
    ran = process is not None and process.alive()
    if process is not None:
        processes.end_all([process], STOP_GRACE_S)
    network.disconnect(Link.of(paths))
    cgroups.remove(cgroup_of(paths))
    paths.pid("node").unlink(missing_ok=True)
    return ran


def _containerd_answers(context: Context, pid: int) -> bool:
    process = processes.noted(context.paths.pid("node"))
    if process is None or not process.alive():
        raise LabError(describe_death(context.paths, "node"))
    return namespaces.succeeds(pid, [context.programs / "ctr", "version"])


def _load_images(context: Context, pid: int, progress: Progress) -> None:
    """Gives containerd the images it does not have; it keeps them with its state."""
    loaded = context.paths.node / "images"
    loaded.mkdir(exist_ok=True)
    missing = [f for f in images.files(context.paths.made) if not (loaded / f.name).exists()]
    if not missing:
        return
    with progress.step(f"node: {len(missing)} images"):
        for file in missing:
            ctr = str(context.programs / "ctr")
            namespaces.run(pid, [ctr, "--namespace=k8s.io", "images", "import", str(file)])
            (loaded / file.name).touch()


def _is_ready(context: Context) -> bool:
    """Whether the kubelet answers and says of its node that it is ready: the object alone may be
    one of an earlier run."""
    api = context.api()
    try:
        api.get(f"/api/v1/nodes/{NODE_NAME}/proxy/pods", timeout_s=2)
        node: dict[str, Any] = api.get(f"/api/v1/nodes/{NODE_NAME}", timeout_s=2)
    except (ApiError, OSError):
        return False
    conditions = node["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _daemons(paths: Paths, pid: int) -> list[Daemon]:
    running = namespaces.daemons(pid)
    deaths = namespaces.deaths(paths)
    return [
        Daemon(
            name=name,
            pid=running.get(name),
            rss_mib=namespaces.rss_mib(running.get(name)),
            deaths=deaths.get(name, 0),
            log=str(paths.log(name)),
        )
        for name in namespaces.DAEMONS
    ]
