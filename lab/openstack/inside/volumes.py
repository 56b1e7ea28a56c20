"""cinder driver of the data plane `none`: volumes are recorded, no byte is kept.

Not even a sparse file: a file system's largest file (16 TiB on ext4) would bound a volume's size.
"""

# ruff: noqa: ARG002  # cinder calls these by its own signatures

from __future__ import annotations

from pathlib import Path
from typing import Any

from cinder import interface
from cinder.volume import driver
from oslo_config import cfg

from lab.openstack.inside import facts

CONF = cfg.CONF


@interface.volumedriver
class RecordedVolumes(driver.VolumeDriver):  # type: ignore[misc]  # cinder has no types
    """One of these serves each pool; the backend's name is the pool's code."""

    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def check_for_setup_error(self) -> None:
        """Nothing to check."""

    def create_volume(self, volume: Any) -> None:
        """cinder's database holds it."""

    def delete_volume(self, volume: Any) -> None:
        """cinder's database forgets it."""

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """cinder's database holds the size."""

    def create_snapshot(self, snapshot: Any) -> None:
        """cinder's database holds it."""

    def delete_snapshot(self, snapshot: Any) -> None:
        """cinder's database forgets it."""

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        """cinder's database holds it."""

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        """cinder's database holds it."""

    def clone_image(
        self, context: Any, volume: Any, image_location: Any, image_meta: Any, image_service: Any
    ) -> tuple[dict[str, Any], bool]:
        """Says "cloned within the store", which spares the download and qemu-img."""
        return {}, True

    def copy_image_to_volume(self, *args: Any, **kwargs: Any) -> None:
        """There is nothing to copy to."""

    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Any
    ) -> None:
        image_service.update(context, image_meta["id"], {}, b"recorded volume")

    def retype(self, context: Any, volume: Any, new_type: Any, diff: Any, host: Any) -> Any:
        return True, None

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Nothing is exported."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported."""

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        return {
            "driver_volume_type": "local",
            "data": {"device_path": f"/dev/recorded/{volume['id']}", "access_mode": "rw"},
        }

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> None:
        """Nothing is connected."""

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        return pool_stats(self.configuration.volume_backend_name, self.VERSION)


def pool_stats(backend: str, version: str) -> dict[str, Any]:
    """What cinder's scheduler is told: the size of the pool `backend`, and that it is a limit.

    A ratio of 1.0 makes the scheduler refuse what exceeds the pool; it counts itself what is taken.
    """
    known = facts.read(Path(CONF.config_file[0]).parent.parent)
    size_gib = next(pool.storage_gib for pool in known.pools if pool.code == backend)
    return {
        "volume_backend_name": backend,
        "vendor_name": "lab",
        "driver_version": version,
        "storage_protocol": "local",
        "pools": [
            {
                "pool_name": backend,
                "total_capacity_gb": size_gib,
                "free_capacity_gb": size_gib,
                "reserved_percentage": 0,
                "thin_provisioning_support": True,
                "thick_provisioning_support": False,
                "max_over_subscription_ratio": "1.0",
                "multiattach": True,
                "QoS_support": False,
            }
        ],
    }
