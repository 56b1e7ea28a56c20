"""libvirtd and its QEMU guests inside the namespace, with folders of libvirt's own bound over the
machine's in a private mount namespace: the machine's libvirt settings are never touched.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from lab.openstack.dataplane import ovn
from lab.openstack.dataplane.commands import end_processes, inside, pid_from, succeeds
from lab.openstack.dataplane.layout import Layout
from lab.tool import ToolError, run

SHUTDOWN_GRACE_S = 15
_START_WAIT_S = 30

_QEMU_CONF = """
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
user = "{user}"
group = "{user}"
"""
# Only root of this machine reaches the socket, and there is no polkit to ask.
_LIBVIRTD_CONF = """
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
"""
# $1: our libvirt folder, $2: keep or hide /dev/kvm. A file on a read-only mount is the one thing
# that access(2) refuses even to root, and libvirt asks by access(2) whether QEMU may use KVM.
# A tmpfs over /run comes first (-n: mount
# notes nothing there): it spares the machine a /run/libvirt and goes with the mount namespace.
_START_SCRIPT = """
set -e
mount -n -t tmpfs -o mode=755 tmpfs /run
mkdir /run/libvirt
if [ "$2" = hide ] && [ -e /dev/kvm ]; then
  mount --bind "$1/no-kvm" /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi
mount --bind "$1/etc" /etc/libvirt
mount --bind "$1/run" /run/libvirt
for name in lib cache log; do mount --bind "$1/$name" "/var/$name/libvirt"; done
exec libvirtd -d -p "$1/libvirtd.pid"
"""


def up(layout: Layout, *, use_kvm: bool, guest_files: Path) -> None:
    """Start libvirtd unless it runs.

    `use_kvm` False hides /dev/kvm from it: a device that opens but runs no kernel makes libvirt
    probe QEMU anew at every call. `guest_files` is where nova keeps the guests' disks.
    Raises ToolError naming the log.
    """
    if running(layout):
        return
    folder = layout.libvirt_folder
    for name in ("run", "lib", "cache", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_settings(folder, guest_files)
    (folder / "no-kvm").touch()
    log = layout.log_folder / "libvirtd-start.log"
    argv = ["unshare", "-m", "--propagation", "slave", "sh", "-c", _START_SCRIPT, "libvirtd"]
    words = [*argv, folder, "keep" if use_kvm else "hide"]
    # libvirtd -d keeps its starter's output open: a file rather than a pipe, or we would wait
    script = 'log=$1; shift; exec "$@" < /dev/null > "$log" 2>&1'
    try:
        run(["sh", "-c", script, "sh", log, *inside(layout, words)], env=ovn.environment(layout))
    except ToolError as error:
        said = " / ".join(log.read_text().splitlines()[-5:])
        raise ToolError(f"libvirtd did not start: {said}") from error
    deadline = time.monotonic() + _START_WAIT_S
    while not succeeds(_virsh(layout, "version"), timeout_s=_START_WAIT_S):
        if time.monotonic() > deadline:
            raise ToolError(f"libvirtd does not answer after {_START_WAIT_S} s (log: {log})")
        time.sleep(0.1)


def _write_settings(folder: Path, guest_files: Path) -> None:
    """Copy the package's settings and add ours; no network of libvirt's own starts by itself."""
    settings = folder / "etc"
    shutil.copytree("/etc/libvirt", settings, dirs_exist_ok=True)
    shutil.rmtree(settings / "qemu" / "networks" / "autostart", ignore_errors=True)
    user = "libvirt-qemu" if reachable_by_all(guest_files) else "root"
    (settings / "qemu.conf").write_text(_QEMU_CONF.format(user=user))
    (settings / "libvirtd.conf").write_text(_LIBVIRTD_CONF)


def reachable_by_all(folder: Path) -> bool:
    """Whether any user may pass every folder on the way; a checkout below /root is closed."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents) if part.exists())


def _virsh(layout: Layout, *words: str) -> list[str | Path]:
    return ["virsh", "-q", "-c", layout.libvirt_uri, *words]


def running(layout: Layout) -> bool:
    """Whether libvirtd runs in our namespace."""
    return pid_from(layout, layout.libvirt_folder / "libvirtd.pid") is not None


def guests(layout: Layout) -> list[str]:
    """libvirt's names of the guests that run now."""
    return run(_virsh(layout, "list", "--name")).split() if running(layout) else []


def down(layout: Layout) -> None:
    """Shut the guests down in order, end those that do not go, then libvirtd."""
    shut_guests_down(layout)
    if (pid := pid_from(layout, layout.libvirt_folder / "libvirtd.pid")) is not None:
        end_processes([pid])
    for pid_file in (layout.libvirt_folder / "run" / "qemu").glob("*.pid"):
        if (pid := pid_from(layout, pid_file)) is not None:
            end_processes([pid])


def shut_guests_down(layout: Layout) -> None:
    """Press every guest's power button; after SHUTDOWN_GRACE_S seconds pull the plug.

    nova notes nothing of it: its services are stopped before, so its database still says the
    guests run, and it boots them again at the next start (`resume_guests_state_on_host_boot`).
    """
    for name in guests(layout):
        run(_virsh(layout, "shutdown", name), check=False)
    deadline = time.monotonic() + SHUTDOWN_GRACE_S
    while (left := guests(layout)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for name in left:
        run(_virsh(layout, "destroy", name), check=False)
