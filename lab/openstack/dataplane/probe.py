"""Whether this machine can run real guests: asks before it changes anything, then boots one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.openstack.dataplane import guest, network, packages
from lab.openstack.dataplane.commands import end_processes
from lab.openstack.dataplane.layout import Layout

BOOT_LIMIT_S = 40
PROBE_MEMORY_MIB = 192
_OS_RELEASE = Path("/etc/os-release")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_READY = b"LAB-PROBE-OK"


@dataclass(frozen=True)
class ProbeResult:
    """`ok` False: `reason` says why no real guest can run here, and what would help.

    `would_install` lists the Debian packages, dependencies included, that `prepare` would bring.
    """

    ok: bool
    reason: str
    would_install: list[str] = field(default_factory=list)


def ask(layout: Layout) -> ProbeResult:
    """Judge the machine without changing it; whether a guest boots shows only in `prepare`."""
    if os.geteuid() != 0:
        return ProbeResult(False, "real guests need root; as an ordinary user every API is real")
    if not _is_debian():
        return ProbeResult(False, "real guests need Debian's packages, and this is no Debian")
    if platform.machine() != "x86_64":
        return ProbeResult(False, f"the lab's guest is built for x86_64, not {platform.machine()}")
    try:
        if shutil.which("ip"):  # else it comes with the packages, and `prepare` checks
            network.check_ranges(layout)
        coming = packages.would_install()
    except LabError as error:
        return ProbeResult(False, str(error))
    return ProbeResult(True, "root on Debian, packages at hand", coming)


def _is_debian() -> bool:
    try:
        return "\nID=debian\n" in f"\n{_OS_RELEASE.read_text()}"
    except FileNotFoundError:
        return False


def prepare(layout: Layout, say: Callable[[str], None]) -> ProbeResult:
    """Install what is missing, build the guest and boot it once; remembered until a reboot.

    A machine that cannot is a result, not an error, so that the lab can go on without guests.
    """
    first = ask(layout)
    if not first.ok:
        return first
    try:
        packages.install(layout, say)
        network.check_ranges(layout)
        guest.build(layout, say)
        accelerator = _remembered(layout) or _boot(layout)
    except (LabError, OSError) as error:
        return ProbeResult(False, f"the machine could not be made ready: {error}")
    if accelerator is None:
        return ProbeResult(False, f"no probe guest booted within {BOOT_LIMIT_S} s under QEMU")
    _remember(layout, accelerator)
    return ProbeResult(True, f"a probe guest booted under QEMU with {accelerator}")


def _remembered(layout: Layout) -> str | None:
    """The accelerator that worked since this machine was booted, None if none was tried."""
    try:
        boot_id, accelerator = (layout.folder / "probe").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return accelerator if boot_id == _BOOT_ID.read_text().strip() else None


def _remember(layout: Layout, accelerator: str) -> None:
    (layout.folder / "probe").write_text(f"{_BOOT_ID.read_text().strip()} {accelerator}\n")
    if accelerator == "kvm":
        layout.kvm_file.touch()
    else:
        layout.kvm_file.unlink(missing_ok=True)


def _boot(layout: Layout) -> str | None:
    """Boot the probe with each accelerator side by side; the first kernel that speaks wins.

    /dev/kvm may exist, open, and run no ordinary kernel; only a boot shows it.
    """
    accelerators = ["kvm", "tcg"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else ["tcg"]
    consoles = {name: layout.folder / f"probe-{name}.log" for name in accelerators}
    machines = {name: _start(layout, name, console) for name, console in consoles.items()}
    try:
        deadline = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < deadline:
            for name, console in consoles.items():
                if _READY in console.read_bytes():
                    return name
            if all(machine.poll() is not None for machine in machines.values()):
                break
            time.sleep(0.1)
        return None
    finally:
        end_processes([machine.pid for machine in machines.values() if machine.poll() is None])
        for machine in machines.values():
            machine.wait()


def _start(layout: Layout, accelerator: str, console: Path) -> subprocess.Popen[bytes]:
    console.write_bytes(b"")
    return subprocess.Popen(
        [
            *("qemu-system-x86_64", "-accel", accelerator, "-m", str(PROBE_MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", guest.kernel_file(layout), "-initrd", guest.ramdisk_file(layout)),
            *("-append", f"{guest.KERNEL_ARGUMENTS} lab.probe", "-serial", f"file:{console}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
