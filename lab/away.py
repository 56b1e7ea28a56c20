"""Folders for a user who cannot enter the checkout: they lie elsewhere, with a link to them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.unprivileged import User

# Root only; stands in for var/lab where the checkout cannot be reached by the services' user.
AWAY = Path("/var/lib/controlplane-lab")


def make_reachable(entrance: Path, user: User, remedy: str) -> None:
    """Makes the folder above `entrance`, and where `user` cannot enter it, makes `entrance` a
    symbolic link to a folder below AWAY, where only root can have put it.

    Raises LabError, which says `remedy`, where a folder made by another user stands in the way.
    """
    entrance.parent.mkdir(parents=True, exist_ok=True)
    if user.can_enter(entrance.parent):
        return
    target = _away(entrance)
    if entrance.is_symlink() and entrance.readlink() == target and target.exists():
        return
    if entrance.is_dir() and not entrance.is_symlink():
        raise LabError(
            f"{entrance} was made by a user who reaches it, unlike the services' user now: "
            f"run `{remedy}` first"
        )
    remove(entrance)
    remove(target)  # of a checkout whose var/ was deleted by hand
    target.mkdir(parents=True)
    entrance.symlink_to(target)


def remove_with_link(entrance: Path) -> None:
    """Removes `entrance`, and the folder elsewhere that it leads to."""
    remove(_away(entrance))
    remove(entrance)
    if AWAY.exists() and not any(AWAY.iterdir()):
        AWAY.rmdir()


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder; one that is not there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _away(entrance: Path) -> Path:
    return AWAY / hashlib.sha256(str(entrance).encode()).hexdigest()[:12]
