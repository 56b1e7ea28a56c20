"""The real data plane of the embedded OpenStack: QEMU guests on an OVN network.

The launcher's whole view of it. The order of a life: `probe`, `prepare`, `up`, the services with
`conf.options`, `images`; then the services' stop, `down`; `wipe` when the cloud is reset; and once
nobody wants it any more, `purge`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import log_programs
from lab.errors import LabError
from lab.openstack.dataplane import guest, hypervisor, machines, network, ovn, packages
from lab.openstack.dataplane import probe as machine
from lab.openstack.dataplane.commands import end_processes, namespace_id, pids_inside
from lab.openstack.dataplane.layout import Layout
from lab.openstack.dataplane.probe import ProbeResult
from lab.openstack.paths import Paths
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.openstack.planes import ImageFile

Say = Callable[[str], None]

# Survives a reset of the cloud: it belongs to the machine, not to the cloud's state.
_KEPT_BY_WIPE = ("guest", "probe", "kvm-works", "host-changes.json")

# Debian builds its libvirt binding for Debian's Python, which the services' venv stands on.
_LIBVIRT_BINDING = Path("/usr/lib/python3/dist-packages")


def probe(settings: Settings) -> ProbeResult:
    """Whether real guests may run here, judged without changing anything."""
    return machine.ask(Layout.of(settings))


def prepare(settings: Settings, say: Say) -> ProbeResult:
    """Install and build what is missing, saying so beforehand, and boot a probe guest."""
    layout = Layout.of(settings)
    layout.folder.mkdir(parents=True, exist_ok=True)
    return machine.prepare(layout, say)


def up(settings: Settings, paths: Paths, say: Say) -> None:
    """Start network and hypervisor; what runs already is left alone. Raises LabError."""
    layout = Layout.of(settings)
    network.up(layout)
    ovn.up(layout)
    guest_files = paths.data("nova") / "instances"
    hypervisor.up(layout, use_kvm=layout.kvm_file.exists(), guest_files=guest_files)
    _lend_libvirt_binding(paths)
    if not layout.kvm_file.exists():
        say("no working KVM here: guests run under QEMU's emulation, several times slower")


def _lend_libvirt_binding(paths: Paths) -> None:
    """The binding on PyPI would need a compiler and libvirt's headers."""
    for site_packages in (paths.venv / "lib").glob("python3*/site-packages"):
        for file in (_LIBVIRT_BINDING / "libvirt.py", *_LIBVIRT_BINDING.glob("libvirtmod.*.so")):
            if not (site_packages / file.name).exists():
                shutil.copy(file, site_packages)


def images(settings: Settings, paths: Paths, say: Say) -> list[ImageFile]:  # noqa: ARG001 - the launcher's signature
    """The guest's image, with the settings' name for its system, and the golden ones."""
    *parts, image = guest.images(Layout.of(settings))
    named = {**image.properties, "os_name": settings.openstack.image.os_name}
    plain = replace(image, name=settings.openstack.image.name, properties=named)
    folder = _golden(settings)
    try:
        machines.build(folder, say)
        log_programs.ensure(folder, say)
    except LabError as error:
        # The cloud is of use without it; an order of such a machine says that the image is missing.
        say(f"no golden images: {error}")
        return [*parts, plain]
    return [*parts, plain, *machines.images(folder)]


def _golden(settings: Settings) -> Path:
    return settings.cache / log_programs.MACHINES


def down(settings: Settings, paths: Paths, say: Say) -> None:  # noqa: ARG001 - the launcher's signature
    """Shut the guests down in order and take everything off the machine but the packages.

    The services must be stopped before. Disks, volumes and the network's databases stay, so that
    the next `up` and start of the services bring the same guests back.
    """
    layout = Layout.of(settings)
    if running := hypervisor.guests(layout):
        say(f"shutting {len(running)} guests down")
    hypervisor.down(layout)
    ovn.down(layout)
    # whatever lives on in our namespace, such as a QEMU whose libvirtd died
    end_processes(pids_inside(layout))
    network.down(layout)
    network.unfence(layout)


def wipe(settings: Settings) -> None:
    """Forget the network and the guests of a cloud that is being reset; `down` comes first."""
    layout = Layout.of(settings)
    if not layout.folder.exists():
        return
    for path in layout.folder.iterdir():
        if path.name in _KEPT_BY_WIPE:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def purge(settings: Settings, paths: Paths, say: Say) -> None:
    """Undo everything the data plane ever did to this machine, packages included."""
    if not Layout.exists(settings):
        return
    layout = Layout.of(settings)
    down(settings, paths, say)
    packages.remove(layout, say)
    wipe(settings)
    if not layout.record_file.exists():  # kept while packages had to stay
        shutil.rmtree(layout.folder)


def status(settings: Settings, paths: Paths) -> dict[str, Any]:  # noqa: ARG001 - the launcher's signature
    """What runs now; changes nothing.

    `hosts` says what the pools' declared sizes are not: how many machines really stand behind.
    """
    layout = Layout.of(settings)
    daemons = {**ovn.running(layout), "libvirtd": hypervisor.running(layout)}
    fenced = network.is_fenced(layout)
    return {
        "up": namespace_id(layout) is not None and fenced and all(daemons.values()),
        "namespace": str(layout.namespace_file) if namespace_id(layout) else None,
        "link": layout.veth,
        "fenced": fenced,
        "daemons": daemons,
        "guests": hypervisor.guests(layout),
        "accelerator": "kvm" if layout.kvm_file.exists() else "tcg",
        "hosts": "all pools share this one machine; their sizes are declared, not present",
    }


def leads_to_lab(settings: Settings, address: str) -> bool:
    """Whether a packet for `address` would go into the lab now; dial nothing else."""
    return network.leads_to_lab(Layout.of(settings), address)
