"""Where the real data plane lives: its names, folders, sockets and address ranges, all derived."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.errors import LabError
from lab.settings import Ranges, Settings

# A unix socket's path must fit into sockaddr_un.sun_path, its closing zero included.
SOCKET_PATH_LIMIT_BYTES = 108

# Higher than any metric a machine's own routes have, so the fallback only speaks when nothing
# else does. Copies of the project take different metrics, so each removes its own route only.
FALLBACK_METRIC_BASE = 4_000_000_000

# neutron's name for the network br-ex leads to.
PHYSICAL_NETWORK = "public"

# OVN's name for this machine: the one chassis behind every nova-compute host of the lab.
CHASSIS = "lab-chassis"


@dataclass(frozen=True)
class Layout:
    """All fixed facts of one data plane; `folder` is its state folder, everything lies under it."""

    folder: Path
    ranges: Ranges

    @classmethod
    def exists(cls, settings: Settings) -> bool:
        """Whether a checkout has, or ever had, a data plane."""
        return cls(settings.home.resolve() / "dataplane", settings.ranges).folder.exists()

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """The data plane of a checkout. Raises LabError if its folder cannot hold sockets."""
        layout = cls(settings.home.resolve() / "dataplane", settings.ranges)
        longest = layout.ovs_folder / "ovs-vswitchd.1234567890.ctl"
        if len(str(longest).encode()) >= SOCKET_PATH_LIMIT_BYTES:
            raise LabError(
                f"{layout.folder} is too deep: {longest.name} in it would exceed the"
                f" {SOCKET_PATH_LIMIT_BYTES} bytes of a unix socket's path; move the checkout,"
                " or set home in lab/settings.toml to a shorter folder"
            )
        return layout

    @property
    def tag(self) -> str:
        """Six hex digits that tell this checkout's links and routes from another copy's."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]

    @property
    def namespace_file(self) -> Path:
        """The file the network namespace is bound to (no global name: copies cannot collide)."""
        return self.folder / "netns"

    @property
    def veth(self) -> str:
        """The host's end of the only link into the namespace (IFNAMSIZ leaves 15 characters)."""
        return f"lab{self.tag}"

    @property
    def host_address(self) -> IPv4Address:
        return self.ranges.host_link[1]

    @property
    def namespace_address(self) -> IPv4Address:
        return self.ranges.host_link[2]

    @property
    def lab_ranges(self) -> tuple[IPv4Network, ...]:
        """Every range whose packets must never take the machine's default route."""
        return tuple(self.ranges.networks().values())

    @property
    def fallback_metric(self) -> int:
        return FALLBACK_METRIC_BASE + int(self.tag, 16)

    @property
    def record_file(self) -> Path:
        """What the data plane changed on the host, so that `purge` can undo exactly that."""
        return self.folder / "host-changes.json"

    @property
    def kvm_file(self) -> Path:
        """Present if a guest boots with KVM on this machine since it was booted."""
        return self.folder / "kvm-works"

    @property
    def guest_folder(self) -> Path:
        return self.folder / "guest"

    @property
    def log_folder(self) -> Path:
        return self.folder / "log"

    @property
    def ovs_folder(self) -> Path:
        return self.folder / "ovs"

    @property
    def ovn_folder(self) -> Path:
        return self.folder / "ovn"

    @property
    def libvirt_folder(self) -> Path:
        return self.folder / "libvirt"

    @property
    def ovsdb_socket(self) -> Path:
        return self.ovs_folder / "db.sock"

    @property
    def northbound_socket(self) -> Path:
        return self.ovn_folder / "ovnnb_db.sock"

    @property
    def southbound_socket(self) -> Path:
        return self.ovn_folder / "ovnsb_db.sock"

    @property
    def libvirt_socket(self) -> Path:
        return self.libvirt_folder / "run" / "libvirt-sock"

    @property
    def libvirt_uri(self) -> str:
        return f"qemu:///system?socket={self.libvirt_socket}"
