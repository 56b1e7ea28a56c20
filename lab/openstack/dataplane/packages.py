"""Which Debian packages the real data plane needs, and how they come and go.

Installing libvirt also brings users and groups; both are recorded, so that `remove` leaves the
package list and the account files as they were.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from pathlib import Path

from lab.openstack.dataplane import record
from lab.openstack.dataplane.commands import COMM_LENGTH, DataPlaneError, programs_running, run
from lab.openstack.dataplane.layout import Layout
from lab.openstack.dataplane.record import HostChanges

WANTED = [
    *("qemu-system-x86", "qemu-utils", "libvirt-daemon", "libvirt-daemon-system"),
    *("libvirt-clients", "libvirt-daemon-driver-qemu", "python3-libvirt"),
    *("openvswitch-switch", "ovn-central", "ovn-host", "nftables"),
    *("iproute2", "busybox-static", "genisoimage", "cpio"),
]

# Programs whose running proves that some copy of the lab still needs the packages.
_DAEMONS = ("libvirtd", "ovs-vswitchd", "qemu-system-x86_64")

# Folders the packages' scripts and programs make and their removal leaves behind.
_LEFTOVERS = [
    *("/etc/libvirt", "/etc/openvswitch", "/etc/ovn"),
    *("/var/lib/libvirt", "/var/lib/openvswitch", "/var/lib/ovn"),
    *("/var/log/libvirt", "/var/log/openvswitch", "/var/log/ovn", "/var/cache/libvirt"),
]

# Debian's packages start their daemons on installation; the lab runs its own in a namespace.
_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# set by the lab while it installs packages\nexit 101\n"

_APT = ("apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300")
_APT_ENV = {"DEBIAN_FRONTEND": "noninteractive"}


def missing() -> list[str]:
    """The wanted packages that are not installed."""
    return [name for name in WANTED if name not in _installed()]


def would_install(wanted: list[str]) -> list[str]:
    """Every package, dependencies included, that installing `wanted` would bring.

    Raises DataPlaneError when apt cannot find one of them.
    """
    if not wanted:
        return []
    plan = run([*_APT, "install", "-s", "--no-install-recommends", *wanted])
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def refresh_lists() -> None:
    """`apt-get update`: a fresh container has no package lists."""
    run([*_APT, "update"], timeout_s=300)


def install(layout: Layout, say: Callable[[str], None]) -> None:
    """Install what is missing and record what came with it.

    Raises DataPlaneError; whatever came before the failure is recorded all the same.
    """
    wanted = missing()
    if not wanted:
        return
    say(f"apt installs {', '.join(wanted)} and what they need")
    packages, users, groups = _installed(), _users(), _groups()
    folders = {folder for folder in _LEFTOVERS if Path(folder).exists()}
    own_policy = not _POLICY.exists()
    if own_policy:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
    try:
        run([*_APT, "install", "--no-install-recommends", *wanted], timeout_s=900, env=_APT_ENV)
    finally:
        if own_policy:
            _POLICY.unlink(missing_ok=True)
        changes = record.load(layout.record_file)
        changes.merge(
            HostChanges(
                packages=sorted(_installed() - packages),
                users=sorted(_users() - users),
                groups=sorted(_groups() - groups),
                folders=sorted(set(_LEFTOVERS) - folders),
            )
        )
        record.save(layout.record_file, changes)


def remove(layout: Layout, say: Callable[[str], None]) -> None:
    """Purge exactly the packages, users, groups and folders that `install` recorded.

    While another copy of the lab runs the same programs they stay, and so does the record.
    """
    changes = record.load(layout.record_file)
    if not changes:
        return
    running = programs_running()
    if users := [name for name in _DAEMONS if name[:COMM_LENGTH] in running]:
        say(f"keeping the installed packages: {', '.join(users)} still runs for another copy")
        return
    going = sorted(set(changes.packages) & _installed())
    if going:
        say(f"removing the {len(going)} Debian packages the lab installed")
        run([*_APT, "purge", *going], timeout_s=600, env=_APT_ENV)
    for user in changes.users:
        if user in _users():
            run(["userdel", user])
    for group in changes.groups:
        if group in _groups():
            run(["groupdel", group])
    for folder in changes.folders:
        run(["rm", "-rf", "--one-file-system", folder])
    layout.record_file.unlink()


def _installed() -> set[str]:
    listing = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"])
    return {line.split()[1] for line in listing.splitlines() if line.startswith("ii")}


def _users() -> set[str]:
    return {user.pw_name for user in pwd.getpwall()}


def _groups() -> set[str]:
    return {group.gr_name for group in grp.getgrall()}


def check_installable(wanted: list[str]) -> list[str]:
    """Like would_install, with one refresh of the package lists if they are too old or empty."""
    try:
        return would_install(wanted)
    except DataPlaneError:
        refresh_lists()
        return would_install(wanted)
