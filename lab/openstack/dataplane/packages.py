"""Which Debian packages the real data plane needs, and when they may go again."""

from __future__ import annotations

from lab.host import packages
from lab.host.packages import Say
from lab.openstack.dataplane.commands import COMM_LENGTH, programs_running
from lab.openstack.dataplane.layout import Layout

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


def would_install() -> list[str]:
    """Every package, dependencies included, that `install` would bring. Raises ToolError."""
    return packages.would_install(packages.missing(WANTED))


def install(layout: Layout, say: Say) -> None:
    """Install what is missing and record what came with it. Raises ToolError."""
    packages.install(WANTED, layout.record_file, say, _LEFTOVERS)


def remove(layout: Layout, say: Say) -> None:
    """Take back what `install` brought.

    While another copy of the lab runs the same programs it stays, and so does the record.
    """
    if not layout.record_file.exists():
        return
    running = programs_running()
    if users := [name for name in _DAEMONS if name[:COMM_LENGTH] in running]:
        say(f"keeping the installed packages: {', '.join(users)} still runs for another copy")
        return
    packages.remove(layout.record_file, say)
