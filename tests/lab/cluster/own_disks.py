"""A volume of the lab, which is a folder without a bound, given a file system of its own: what a
storage system's driver does elsewhere, and small enough to be filled. It is in memory, where it can
grow while it is mounted without a right that not every machine gives."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client

from tests.lab.cloud import until
from tests.lab.kubernetes_city import KubernetesCity
from tests.lab.pods import Lab

PATIENCE_S = 60


class OwnDisk:
    """The volume of a resource on which nothing runs at the moment, its data kept."""

    def __init__(
        self, lab: Lab, city: KubernetesCity, resource_id: str, folder: Path, size_mib: int
    ) -> None:
        self._node = str(lab.service("node")["pid"])
        self._core = client.CoreV1Api(city.client())
        self._asked = {"label_selector": f"egov/resource-id={resource_id}"}
        claim = self._claim()
        self._had = claim.spec.resources.requests["storage"]
        volume = self._core.read_persistent_volume(claim.spec.volume_name)
        self.place = Path(volume.spec.local.path)
        aside = folder / "aside"
        aside.mkdir()
        self._inside("mount", "-t", "tmpfs", "-o", f"size={size_mib}M", "tmpfs", aside)
        self._inside("cp", "-a", f"{self.place}/.", aside)
        self._inside("mount", "--bind", aside, self.place)
        self._inside("umount", aside)

    def used_percent(self) -> int:
        told = self._inside("df", "--output=pcent", self.place)
        return int(told.split()[-1].removesuffix("%"))

    def grow_once_asked(self, size_mib: int) -> None:
        """When its claim asks for more than it had."""

        def asked() -> bool | None:
            wanted = self._claim().spec.resources.requests["storage"]
            return True if wanted != self._had else None

        until(asked, PATIENCE_S, "a claim for more")
        self._inside("mount", "-o", f"remount,size={size_mib}M", self.place)

    def end(self) -> None:
        """Once its server is gone; what lay there before goes too, which the lab does not see."""
        self._inside("umount", self.place)
        shutil.rmtree(self.place)

    def _claim(self) -> client.V1PersistentVolumeClaim:
        found = self._core.list_persistent_volume_claim_for_all_namespaces(**self._asked)
        (claim,) = found.items
        return claim

    def _inside(self, *words: str | Path) -> str:
        return run("nsenter", f"--target={self._node}", "--mount", *words)


def run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@contextmanager
def own_disk(
    lab: Lab, city: KubernetesCity, resource_id: str, folder: Path, size_mib: int
) -> Iterator[OwnDisk]:
    """From here on it has so much; the server is suspended meanwhile, and gone at the end."""
    city.operate(resource_id, "power_off")
    disk = OwnDisk(lab, city, resource_id, folder, size_mib)
    try:
        city.operate(resource_id, "power_on")
        yield disk
    finally:
        city.retire_all(city.resource(resource_id).service)
        disk.end()
