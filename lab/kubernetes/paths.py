"""Where everything of the embedded Kubernetes lies on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab import away, ports
from lab.errors import LabError
from lab.settings import Settings
from lab.unprivileged import User

#: A unix socket's path must fit into sockaddr_un.sun_path, its closing zero included.
SOCKET_PATH_LIMIT_BYTES = 108
#: What other labs keep in a home; while one is there the home's block of ports is in use.
OTHER_LABS = ("openstack", "services")


@dataclass(frozen=True)
class Paths:
    """Folders and files of one checkout's Kubernetes.

    `state` is what `reset` wipes: objects, certificates, pods' data, logs. `cache` may be shared.
    Both are real paths: their way through the checkout may be closed to the services' user.
    """

    home: Path
    state: Path
    cache: Path

    @property
    def tag(self) -> str:
        """Six hex digits that tell this checkout's links, routes and cgroups from another's."""
        return hashlib.sha256(str(self.state).encode()).hexdigest()[:6]

    @property
    def ports(self) -> Path:
        """The remembered block of ports."""
        return self.home / "ports.json"

    @property
    def lock(self) -> Path:
        """Held while the cluster is started, stopped or reset."""
        return self.home / "kubernetes.lock"

    @property
    def record(self) -> Path:
        """What was decided when this state was made."""
        return self.state / "lab.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's login, whole in one file."""
        return self.state / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A link to the program, for people."""
        return self.state / "kubectl"

    @property
    def pki(self) -> Path:
        """Keys and certificates that the control plane reads."""
        return self.state / "pki"

    @property
    def etcd(self) -> Path:
        """etcd's data and sockets: its folder's mode is what guards them."""
        return self.state / "etcd"

    @property
    def node(self) -> Path:
        """All of the node, of root only: pods' data, images, configuration."""
        return self.state / "node"

    @property
    def log_folder(self) -> Path:
        return self.state / "log"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def made(self) -> Path:
        """What can be made again: programs, Debian packages, images."""
        return self.cache / "kubernetes"

    def pid(self, name: str) -> Path:
        return self.run / f"{name}.pid"

    def log(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"


def paths_of(settings: Settings) -> Paths:
    """The lab's folders; touches nothing. Raises LabError if they cannot hold sockets."""
    paths = Paths(settings.home, _entrance(settings).resolve(), settings.cache.resolve())
    longest = paths.etcd / "client.sock"
    if len(str(longest).encode()) >= SOCKET_PATH_LIMIT_BYTES:
        raise LabError(
            f"{paths.state} is too deep: {longest.name} in it would exceed the "
            f"{SOCKET_PATH_LIMIT_BYTES} bytes of a unix socket's path; move the checkout, or set "
            "home in lab/settings.toml to a shorter folder"
        )
    return paths


def _entrance(settings: Settings) -> Path:
    """The state by its name in the checkout: a folder, or a link to one elsewhere."""
    return settings.home / "kubernetes"


def lay_out(settings: Settings, user: User) -> Paths:
    """Makes the folders. Root keeps what the node trusts; the control plane's user gets its own."""
    for entrance in (_entrance(settings), settings.cache):
        away.make_reachable(entrance, user, "python -m lab.kubernetes clean")
    paths = paths_of(settings)
    for folder in (paths.state, paths.run, paths.log_folder, paths.made):
        folder.mkdir(parents=True, exist_ok=True)
    # To pass through, not to look around: who may read a file below is said there.
    paths.state.chmod(0o711 if user.uid is not None else 0o700)
    paths.log_folder.chmod(0o700)
    paths.run.chmod(0o700)
    for folder in (paths.pki, paths.etcd):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
        user.give(folder)
    return paths


def wipe_state(settings: Settings) -> None:
    """Removes the state; programs, images and the block of ports stay."""
    state = paths_of(settings).state
    if state.exists():
        for child in state.iterdir():
            away.remove(child)


def wipe_all(settings: Settings) -> None:
    """Removes every file the embedded Kubernetes has made; a cache outside the home may be
    shared, and stays."""
    paths = paths_of(settings)
    if settings.cache.is_relative_to(settings.home):
        away.remove(paths.made)
    away.remove_with_link(_entrance(settings))
    if not any((settings.home / name).exists() for name in OTHER_LABS):
        ports.forget(paths.ports)
        if settings.cache.is_relative_to(settings.home) and _is_empty(paths.cache):
            away.remove_with_link(settings.cache)
    away.remove(paths.lock)


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())
