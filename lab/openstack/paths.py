"""Where everything of the embedded OpenStack lies on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab import away, ports
from lab.openstack import SERVICES
from lab.settings import Settings
from lab.unprivileged import User


def _schema_version() -> str:
    """Changes with the release and with the code that makes the schemas."""
    here = Path(__file__).parent
    makers = ("requirements.lock", "inside/initialise.py", "inside/neutron_schema.py")
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in makers))
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Paths:
    """Folders and files of one checkout's OpenStack.

    `state` is what `reset` wipes: configuration, databases, images, logs. `cache` may be shared.
    Both are real paths: their way through the checkout may be closed to the services' user.
    """

    home: Path
    state: Path
    cache: Path

    @property
    def ports(self) -> Path:
        """The remembered block of ports."""
        return self.home / "ports.json"

    @property
    def lock(self) -> Path:
        """Held while the cloud is started, stopped or reset."""
        return self.home / "openstack.lock"

    @property
    def venv(self) -> Path:
        """Python environment of the services."""
        return self.cache / "openstack-venv"

    @property
    def bytecode(self) -> Path:
        """Compiled modules of the services' venv, which they may not write to."""
        return self.cache / "openstack-bytecode"

    @property
    def schema_cache(self) -> Path:
        """Empty databases of this release."""
        return self.cache / f"openstack-schemas-{_schema_version()}"

    @property
    def code(self) -> Path:
        """The copy of the `lab` package that the services run."""
        return self.state / "code"

    @property
    def etc(self) -> Path:
        return self.state / "etc"

    @property
    def db(self) -> Path:
        return self.state / "db"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def clouds_yaml(self) -> Path:
        """The administrator's clouds.yaml, cloud `lab`."""
        return self.state / "clouds.yaml"

    @property
    def record(self) -> Path:
        """What was decided when this state was made; its presence means: schemas are there."""
        return self.state / "lab.json"

    @property
    def object_storage_fault(self) -> Path:
        """Why objects cannot be kept here; not there where they can."""
        return self.state / "object-storage.fault"

    @property
    def seeded(self) -> Path:
        """Fingerprint of the settings the cloud was seeded with."""
        return self.state / "seeded"

    def pid(self, service: str) -> Path:
        return self.run / f"{service}.pid"

    def ready(self, service: str) -> Path:
        return self.run / f"{service}.ready"

    def out(self, service: str) -> Path:
        """Standard output and error: what a service says before its log is open."""
        return self.log / f"{service}.out"

    def oslo_log(self, service: str) -> Path:
        """The service's own log."""
        return self.log / f"{service}.log"

    def database(self, name: str) -> Path:
        return self.db / f"{name}.sqlite"

    def data(self, service: str) -> Path:
        """The service's state_path."""
        return self.state / "data" / service


def paths_of(settings: Settings) -> Paths:
    """The lab's folders; touches nothing."""
    state, cache = _entrances(settings)
    return Paths(settings.home, state.resolve(), cache.resolve())


def _entrances(settings: Settings) -> tuple[Path, Path]:
    """State and cache by their names in the checkout: folders, or links to folders elsewhere."""
    return settings.home / "openstack", settings.cache


def lay_out(settings: Settings, user: User) -> Paths:
    """Makes the folders, reachable for `user`.

    A checkout below /root or in a private folder cannot be entered by the unprivileged user that
    root drops to. Then the folders lie below /var/lib/controlplane-lab, where only root can have
    put them, and the checkout holds symbolic links to them.
    """
    for entrance in (settings.home, *_entrances(settings)):
        entrance.parent.mkdir(parents=True, exist_ok=True)
    settings.home.mkdir(exist_ok=True)
    for entrance in _entrances(settings):
        away.make_reachable(entrance, user, "python -m lab.openstack clean")
    paths = paths_of(settings)
    folders = [paths.state, paths.bytecode, paths.schema_cache, paths.db, paths.log, paths.run]
    folders += [paths.etc / service for service in SERVICES]
    for service in SERVICES:
        folders += [paths.data(service), paths.data(service) / "lock"]
    folders += [paths.data("glance") / name for name in ("images", "staging", "tasks")]
    folders.append(paths.data("nova") / "instances")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        user.give(folder)
    paths.state.chmod(0o700)
    return paths


def wipe_state(paths: Paths) -> None:
    """Removes the state; the venv, the caches and the block of ports stay."""
    if paths.state.exists():
        for child in paths.state.iterdir():
            away.remove(child)


def wipe_all(settings: Settings) -> None:
    """Removes every file the embedded OpenStack has made; a cache outside the home may be shared,
    and stays."""
    paths = paths_of(settings)
    state, cache = _entrances(settings)
    for entrance in (state, cache):
        if entrance == state or entrance.is_relative_to(settings.home):
            away.remove_with_link(entrance)
    ports.forget(paths.ports)
    away.remove(paths.lock)
