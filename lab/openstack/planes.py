"""Which data plane stands behind the cloud, and the one door to it.

`none` adds nothing: the services' own defaults in `config.py` record servers, ports and volumes.
`real` is the package `lab.openstack.dataplane`; nothing else imports it. That package offers

    probe(settings) -> object with .ok and .reason   says whether a guest would run here
    up(settings, paths, say), down(settings, paths, say)
    status(settings, paths) -> dict                  for `status --json`
    conf.options(settings, paths) -> {service: {section: {option: value}}}
    images(settings, paths, say) -> list of ImageFile   to be uploaded
    hooks.prepare_nova(), prepare_cinder(), prepare_neutron()   inside the services' processes
"""

# ruff: noqa: ARG002  # a plane without machines needs nothing of what it is given

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lab.errors import LabError
from lab.openstack.config import Options
from lab.openstack.paths import Paths
from lab.settings import Settings

REAL = "lab.openstack.dataplane"

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageFile:
    """An image to upload, once, by name."""

    name: str
    file: Path
    disk_format: str
    properties: Mapping[str, str] = field(default_factory=dict)


class Plane(Protocol):
    """What the cloud asks of a data plane."""

    needs_root: bool

    def up(self, settings: Settings, paths: Paths, say: Say) -> None: ...

    def down(self, settings: Settings, paths: Paths, say: Say) -> None: ...

    def status(self, settings: Settings, paths: Paths) -> dict[str, Any]: ...

    def options(self, settings: Settings, paths: Paths) -> Mapping[str, Options]: ...

    def images(self, settings: Settings, paths: Paths, say: Say) -> list[ImageFile]: ...


class NoPlane:
    """No machine behind a server."""

    needs_root = False

    def up(self, settings: Settings, paths: Paths, say: Say) -> None:
        """Nothing to bring up."""

    def down(self, settings: Settings, paths: Paths, say: Say) -> None:
        """Nothing to take down."""

    def status(self, settings: Settings, paths: Paths) -> dict[str, Any]:
        return {}

    def options(self, settings: Settings, paths: Paths) -> Mapping[str, Options]:
        return {}

    def images(self, settings: Settings, paths: Paths, say: Say) -> list[ImageFile]:
        """A few bytes in place of an image that nothing will boot."""
        image = settings.openstack.image
        file = paths.data("glance") / "lab-tiny.raw"
        file.write_bytes(b"no machine boots from this\n".ljust(512, b"\0"))
        return [ImageFile(image.name, file, "raw", {"os_name": image.os_name})]


class RealPlane:
    """QEMU guests on an OVN network."""

    needs_root = True

    def __init__(self) -> None:
        self._package = importlib.import_module(REAL)

    def up(self, settings: Settings, paths: Paths, say: Say) -> None:
        self._package.up(settings, paths, say)

    def down(self, settings: Settings, paths: Paths, say: Say) -> None:
        self._package.down(settings, paths, say)

    def status(self, settings: Settings, paths: Paths) -> dict[str, Any]:
        return dict(self._package.status(settings, paths))

    def options(self, settings: Settings, paths: Paths) -> Mapping[str, Options]:
        conf = importlib.import_module(f"{REAL}.conf")
        return dict(conf.options(settings, paths))

    def images(self, settings: Settings, paths: Paths, say: Say) -> list[ImageFile]:
        return list(self._package.images(settings, paths, say))


@dataclass(frozen=True)
class Choice:
    """A data plane, and why this one."""

    name: str
    reason: str


def choose(settings: Settings) -> Choice:
    """Decides for a new state. Raises LabError if `real` is demanded and cannot be had."""
    if settings.data_plane == "none":
        return Choice("none", "chosen in the settings")
    fault = _fault_of_real(settings)
    if fault is None:
        return Choice("real", "a probe guest runs here")
    if settings.data_plane == "real":
        raise LabError(f"the real data plane cannot run here: {fault}")
    return Choice("none", fault)


def plane(name: str) -> Plane:
    """The data plane called `name`."""
    return RealPlane() if name == "real" else NoPlane()


def _fault_of_real(settings: Settings) -> str | None:
    if os.geteuid() != 0:
        return "real machines need root"
    if importlib.util.find_spec(REAL) is None:
        return "this checkout has no real data plane"
    package = importlib.import_module(REAL)
    if not hasattr(package, "probe"):
        return "this checkout's real data plane is not finished"
    answer = package.probe(settings)
    return None if answer.ok else str(answer.reason)
