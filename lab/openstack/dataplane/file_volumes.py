"""cinder driver of the real data plane: a volume is a sparse file that QEMU opens itself.

No loop device and no iSCSI stands between, so a volume holds nothing of the machine, and attached
volumes survive a stop of the lab as files do. Imported inside cinder's process only.
"""

# ruff: noqa: ARG002 - the signatures are cinder's

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver
from oslo_config import cfg

from lab.openstack.inside import volumes

CONF = cfg.CONF
BYTES_PER_GIB = 1024**3


@interface.volumedriver
class FileVolumes(driver.VolumeDriver):  # type: ignore[misc]  # cinder has no types
    """One of these serves each pool; the backend's name is the pool's code."""

    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def do_setup(self, context: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def check_for_setup_error(self) -> None:
        """do_setup has made all there is."""

    @property
    def _folder(self) -> Path:
        return Path(CONF.state_path) / "volumes"

    def _file(self, thing: Any) -> Path:
        """The file of a volume or snapshot."""
        return self._folder / str(thing["name"])

    def create_volume(self, volume: Any) -> None:
        _grow(self._file(volume), volume["size"])

    def delete_volume(self, volume: Any) -> None:
        self._file(volume).unlink(missing_ok=True)

    def extend_volume(self, volume: Any, new_size: int) -> None:
        _grow(self._file(volume), new_size)

    def create_snapshot(self, snapshot: Any) -> None:
        _copy(self._file(snapshot["volume"]), self._file(snapshot))

    def delete_snapshot(self, snapshot: Any) -> None:
        self._file(snapshot).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        _copy(self._file(snapshot), self._file(volume))
        _grow(self._file(volume), volume["size"])

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        _copy(self._file(src_vref), self._file(volume))
        _grow(self._file(volume), volume["size"])

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        image_utils.fetch_to_raw(
            context, image_service, image_id, str(self._file(volume)), "1M", size=volume["size"]
        )
        _grow(self._file(volume), volume["size"])

    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Any
    ) -> None:
        with self._file(volume).open("rb") as content:
            image_service.update(context, image_meta["id"], {}, content)

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
            "data": {"device_path": str(self._file(volume)), "access_mode": "rw"},
        }

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> None:
        """Nothing is connected."""

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        return volumes.pool_stats(self.configuration.volume_backend_name, self.VERSION)


def _grow(file: Path, size_gib: int) -> None:
    """Create the file, or lengthen it, without writing a byte of it."""
    with file.open("ab") as content:
        content.truncate(int(size_gib) * BYTES_PER_GIB)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(
        ["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True
    )
