"""The OpenStack services' own Python environment."""

from __future__ import annotations

from pathlib import Path

from lab import venv
from lab.openstack.paths import Paths
from lab.unprivileged import User

LOCK = Path(__file__).with_name("requirements.lock")


def is_current(paths: Paths) -> bool:
    """Whether the venv holds exactly what the lock names."""
    return venv.is_current(paths.venv, LOCK)


def install(paths: Paths, user: User) -> None:
    """Makes the venv what the lock says; a second time it does nothing.

    The services write bytecode as they import, under the cache folder: a third of all modules.
    """
    venv.install(paths.venv, LOCK, user)
