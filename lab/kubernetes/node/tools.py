"""Debian's runc and nft, unpacked in the cache: nothing is installed on the machine, and nobody who
removes a package from it takes them away from a node that runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab import away, debian
from lab.errors import LabError

PACKAGES = ("runc", "nftables")
#: Every Debian has these, and its programs need its own.
OF_THE_MACHINE = ("libc6", "libgcc-s1", "gcc-12-base", "libcrypt1", "debconf", "dpkg", "tar")
STANDARD_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def ensure(made: Path) -> Path:
    """Unpacks them below `made`, once, and returns the folder. Raises LabError."""
    folder = made / "tools"
    if not folder.exists():
        draft = folder.with_suffix(".new")
        away.remove(draft)
        draft.mkdir(parents=True)
        for file in debian.Apt(made / "apt").download(PACKAGES, without=OF_THE_MACHINE):
            debian.unpack(file, draft)
        draft.rename(folder)
    if shutil.which("ip") is None:
        raise LabError("the program ip is not here; on Debian: apt-get install iproute2")
    return folder


def environment(folder: Path) -> Mapping[str, str]:
    """In which the node's programs find one another, and nothing of the caller's environment."""
    own = [folder / name for name in ("usr/sbin", "usr/bin", "sbin", "bin")]
    libraries = sorted({str(file.parent) for file in folder.glob("**/lib/*-linux-gnu*/*.so*")})
    return {
        "PATH": ":".join([*map(str, own), *STANDARD_PATH]),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
    }
