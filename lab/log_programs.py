"""PostgreSQL 15: the programs that fetch the log of a server of that version and replay it.

Out of Debian's packages, for the control plane's own host. Nothing is installed; whoever reads the
folder may run them.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab import debian
from lab.services import debian as services
from lab.settings import Settings

#: The version of servers in pods and on machines of their own.
PACKAGES = ("postgresql-15",)
#: What a server that is never administered does not need, and the C library, which is the host's.
WITHOUT = (
    *("perl", "perl-base", "perl-modules-5.36", "libperl5.36", "postgresql-client-common"),
    *("postgresql-common", "debconf", "dpkg", "tar", "libllvm14", "ssl-cert", "ucf", "adduser"),
    *("init-system-helpers", "sysvinit-utils", "openssl", "passwd", "locales", "libc-bin"),
    *("libc6", "gcc-12-base", "libpam-modules", "libpam-modules-bin", "libsemanage2", "usrmerge"),
    *("libsemanage-common", "libsepol2", "netbase", "lsb-base", "sensible-utils", "tzdata"),
    *("libfile-find-rule-perl", "libjson-perl", "libnumber-compare-perl", "libtext-glob-perl"),
)
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/lib/postgresql/15/lib/bitcode")
#: Below the cache, beside the golden images.
MACHINES = "machines"
PROGRAMS = ("postgres", "pg_receivewal", "pg_basebackup")
BIN = "usr/lib/postgresql/15/bin"
#: Debian's server finds whatever else it needs from where it lies itself.
WRAPPER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="{libraries}" exec "$here/../root/{bin}/{program}" "$@"
"""


def folder_of(made: Path) -> Path:
    """Of the programs, there or not; named by how they are made."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return made / f"postgresql-15-{digest}" / "bin"


def ensure(made: Path, say: Callable[[str], None]) -> None:
    """Unpacks them below `made` unless they are there. Raises LabError."""
    target = folder_of(made).parent
    if target.exists():
        return
    say("unpacking PostgreSQL 15's programs, which replay its log")
    made.mkdir(parents=True, exist_ok=True)
    packages = debian.Apt(made / "apt").download(PACKAGES, WITHOUT)
    with tempfile.TemporaryDirectory(dir=made) as work:
        fresh = Path(work) / "fresh"
        (fresh / "root").mkdir(parents=True)
        for package in packages:
            debian.unpack(package, fresh / "root")
        for path in UNWANTED:
            shutil.rmtree(fresh / "root" / path, ignore_errors=True)
        write_wrappers(fresh)
        with suppress(OSError):  # another copy of the lab was quicker
            fresh.rename(target)


def of_machines(settings: Settings) -> dict[str, str]:
    """Folders by engine, for servers on machines of the lab's golden images; none where those were
    never made. MariaDB's are those of the shared server, which is of the same version."""
    folder = folder_of(settings.cache.resolve() / MACHINES)
    if not folder.exists():
        return {}
    return {"postgresql": str(folder), "mariadb": str(services.tree(settings).tools)}


def write_wrappers(fresh: Path) -> None:
    """`bin` beside `root`: each program by its name, with the libraries that it came with."""
    root = fresh / "root"
    # Some packages still have theirs in /lib, which an installed system joins with /usr/lib.
    folders = [f for top in ("usr/lib", "lib") for f in sorted((root / top).glob("*-linux-*"))]
    libraries = ":".join(f"$here/../root/{folder.relative_to(root)}" for folder in folders)
    (fresh / "bin").mkdir()
    for program in PROGRAMS:
        wrapper = fresh / "bin" / program
        wrapper.write_text(WRAPPER.format(libraries=libraries, bin=BIN, program=program))
        wrapper.chmod(0o755)
