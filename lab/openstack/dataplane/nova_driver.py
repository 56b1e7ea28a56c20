"""nova's libvirt driver for a lab: several pools on one libvirtd, volumes as plain files.

Imported inside nova's process only.
"""

# ruff: noqa: ARG002 - the signatures are nova's

from __future__ import annotations

import copy
import shutil
import uuid
from pathlib import Path
from typing import Any

from nova.conf import CONF
from nova.virt.libvirt import driver, utils
from nova.virt.libvirt.volume import volume

from lab.openstack.inside import facts

# How often nova asks whether a guest has shut down, and presses its power button again.
SHUTDOWN_RETRY_S = 10


class PoolLibvirtDriver(driver.LibvirtDriver):  # type: ignore[misc]  # nova has no types
    """One pool's compute host: the declared size, and guests on the libvirtd all pools share."""

    def init_host(self, host: str) -> None:
        """Take the pool's name for the hypervisor's: all pools would report this machine's."""
        known = facts.read(Path(CONF.config_file[0]).parent.parent)
        self._pool = next(pool for pool in known.pools if pool.compute_host == host)
        self._host.get_hostname = lambda: host
        self._host._node_uuid = node_uuid(host)
        super().init_host(host)

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """The pool's declared size instead of this machine's, which is far smaller."""
        resources: dict[str, Any] = super().get_available_resource(nodename)
        resources["vcpus"] = self._pool.vcpu
        resources["memory_mb"] = self._pool.memory_mib
        resources["local_gb"] = self._pool.storage_gib
        resources["disk_available_least"] = resources["local_gb"]
        return resources

    def update_provider_tree(
        self, provider_tree: Any, nodename: str, allocations: Any = None
    ) -> None:
        """The same towards Placement, which decides what fits."""
        super().update_provider_tree(provider_tree, nodename, allocations=allocations)
        inventory = copy.deepcopy(provider_tree.data(nodename).inventory)
        for resource_class, total in (
            ("VCPU", self._pool.vcpu),
            ("MEMORY_MB", self._pool.memory_mib),
            ("DISK_GB", self._pool.storage_gib),
        ):
            inventory[resource_class].update(total=total, max_unit=total, reserved=0)
        provider_tree.update_inventory(nodename, inventory)
        self.provider_tree = copy.deepcopy(provider_tree)

    def _soft_reboot(self, instance: Any) -> bool:
        """Shut the guest down in order, then have nova boot it anew (False asks for that).

        nova's own way starts the same guest again at once. Its port stays in OVS meanwhile, and the
        userspace datapath goes on listening on the tap that is gone: the guest would be cut off.
        """
        self._clean_shutdown(instance, CONF.shutdown_timeout, SHUTDOWN_RETRY_S)
        return False

    def _cleanup_resize(self, context: Any, instance: Any, network_info: Any) -> None:
        """Drop the old disks only.

        nova would also undefine the guest where its host is not CONF.host; with several pools in
        one process on one libvirtd that is the resized guest itself.
        """
        shutil.rmtree(utils.get_instance_path(instance) + "_resize", ignore_errors=True)


class FileVolumeDriver(volume.LibvirtBaseVolumeDriver):  # type: ignore[misc]  # nova has no types
    """Gives the guest a volume that is a file, as nova's NFS driver does, without any mount."""

    def __init__(self, host: Any) -> None:
        super().__init__(host, is_block_dev=False)

    def get_config(self, connection_info: dict[str, Any], disk_info: dict[str, Any]) -> Any:
        conf = super().get_config(connection_info, disk_info)
        conf.source_type = "file"
        conf.source_path = connection_info["data"]["device_path"]
        # cache=none needs O_DIRECT, which not every file system has; a guest's flush still flushes
        conf.driver_cache = "writeback"
        return conf

    def extend_volume(
        self, connection_info: dict[str, Any], instance: Any, requested_size: int
    ) -> int:
        """cinder has grown the file already; QEMU is told by the caller. Size in bytes."""
        return Path(connection_info["data"]["device_path"]).stat().st_size


def node_uuid(host: str) -> str:
    """A stable identity per pool; nova's own keeps one per process in a file."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.lab.test"))
