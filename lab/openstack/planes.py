"""Which data plane stands behind the cloud, and the one door to it.

`none` adds nothing: the services' own defaults in `config.py` record servers, ports and volumes.
`real` is the package `lab.openstack.dataplane`; nothing else imports it. That package offers

    probe(settings) -> .ok, .reason, .would_install  judges the machine, changes nothing
    prepare(settings, say) -> .ok, .reason           installs, then boots a probe guest
    up(settings, paths, say), down(settings, paths, say)
    wipe(settings)                                   at a reset: forgets guests and networks
    purge(settings, paths, say)                      undoes all it did to the machine
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

    def wipe(self, settings: Settings) -> None: ...

    def purge(self, settings: Settings, paths: Paths, say: Say) -> None: ...

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

    def wipe(self, settings: Settings) -> None:
        """Nothing is kept outside the state."""

    def purge(self, settings: Settings, paths: Paths, say: Say) -> None:
        """The machine was not changed."""

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

    def wipe(self, settings: Settings) -> None:
        self._package.wipe(settings)

    def purge(self, settings: Settings, paths: Paths, say: Say) -> None:
        self._package.purge(settings, paths, say)

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


def choose(settings: Settings, say: Say) -> Choice:
    """Decides for a new state; may install packages for it, and says so beforehand.

    Raises LabError if `real` is demanded and cannot be had.
    """
    if settings.data_plane == "none":
        return Choice("none", "chosen in the settings")
    ok, reason = _try_real(settings, say)
    if ok:
        return Choice("real", reason)
    if settings.data_plane == "real":
        raise LabError(f"the real data plane cannot run here: {reason}")
    return Choice("none", reason)


def plane(name: str) -> Plane:
    """The data plane called `name`."""
    return RealPlane() if name == "real" else NoPlane()


def is_there() -> bool:
    """Whether this checkout has a real data plane at all."""
    return importlib.util.find_spec(REAL) is not None


def _try_real(settings: Settings, say: Say) -> tuple[bool, str]:
    """Whether real machines run here, and why (not)."""
    if os.geteuid() != 0:
        return False, "real machines need root"
    if not is_there():
        return False, "this checkout has no real data plane"
    package = importlib.import_module(REAL)
    judged = package.probe(settings)
    if not judged.ok:
        return False, str(judged.reason)
    if judged.would_install:
        say(
            f"for real machines {len(judged.would_install)} Debian packages are installed now; "
            "`make clean` removes them (LAB_DATA_PLANE=none goes without): "
            + " ".join(judged.would_install)
        )
    prepared = package.prepare(settings, say)
    return bool(prepared.ok), str(prepared.reason)
