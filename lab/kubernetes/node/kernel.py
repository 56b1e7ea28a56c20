"""Whether this machine's kernel lets a node run, tried out in namespaces that end with the try."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.kubernetes.node import cgroups
from lab.kubernetes.node.commands import run

NEEDED_CGROUPS = ("cpu", "memory", "pids")
# Each line is a thing the node does; the last word of a line that fails says which.
PROBES = {
    "network devices in pairs": "ip link add one type veth peer name two",
    "the packet filter nftables": (
        "nft 'add table inet probe; add chain inet probe c { type filter hook forward priority 0; }"
        "; add rule inet probe c ct state established accept'"
    ),
    "mounts": "mount --no-mtab -t tmpfs tmpfs /mnt",
}


def probe(state: Path, environment: Mapping[str, str]) -> str:
    """Why no node can run; empty if one can. `state` is where pods' files will lie."""
    missing = [name for name in NEEDED_CGROUPS if not _has_controller(name)]
    if missing:
        return f"no cgroups for {', '.join(missing)} in {cgroups.ROOT}"
    tried = f"lab-kubernetes-probe-{os.getpid()}"  # another copy may be trying as well
    try:
        cgroups.make(tried)
        cgroups.remove(tried)
        run([*_namespaces(), "true"], env=environment)
    except (LabError, OSError) as error:
        return f"this machine allows no namespaces and cgroups of our own: {error}"
    for what, command in PROBES.items():
        try:
            run([*_namespaces(), "sh", "-c", command], env=environment)
        except LabError as error:
            return f"{what} cannot be had: {str(error).rpartition('status')[2]}"
    return "" if state.exists() else f"{state} is gone"


def snapshotter(state: Path) -> str:
    """`overlayfs` where the disk of `state` can be overlaid, else `native`: slower, and larger."""
    with tempfile.TemporaryDirectory(prefix="overlay-probe-", dir=state) as folder:
        for name in ("lower", "upper", "work", "all"):
            Path(folder, name).mkdir()
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        mount = ["mount", "--no-mtab", "-t", "overlay", "overlay", "-o", options, f"{folder}/all"]
        try:
            run(["unshare", "--mount", "--propagation=private", *mount])
        except LabError:
            return "native"
    return "overlayfs"


def _namespaces() -> list[str]:
    return ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation=private"]


def _has_controller(name: str) -> bool:
    unified = cgroups.ROOT / "cgroup.controllers"
    if unified.exists():
        return name in unified.read_text().split()
    return (cgroups.ROOT / name / "cgroup.procs").exists()
