"""Programs out of Debian's packages, unpacked into the cache: no root, nothing is installed.

The machine's own package sources and keys are used, with folders of ours for what apt downloads and
remembers. A library that the machine has is not unpacked a second time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import away
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Settings
from lab.unprivileged import User

PACKAGES = Path(__file__).with_name("debian.packages")
UNPACKED = "unpacked"
STATUS = Path("/var/lib/dpkg/status")
#: Packages that are unpacked though the machine has them: one version of all parts in one place.
OWN = re.compile(r"(lib)?(mariadb|redis|rabbitmq|erlang)[a-z0-9.+-]*$")
#: Clients for plays and people, by a wrapper that finds the libraries; and the server by which a
#: moment of a MariaDB is had again, which finds its own files in `share` beside the wrappers.
TOOLS = {
    "mariadb": "bin",
    "mariadb-binlog": "bin",
    "mariadb-dump": "bin",
    "mariadbd": "sbin",
    "redis-cli": "bin",
}
SHARE = "share/mysql"
# Debian has the place of Erlang compiled into its launcher; this finds it wherever it lies.
FIXED_ROOT = "ROOTDIR=/usr/lib/erlang"
FOUND_ROOT = 'ROOTDIR=$(dirname "$(dirname "$(readlink -f "$0")")")'

WRAPPER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="{libraries}" exec "$here/../root/usr/{folder}/{tool}" "$@"
"""


@dataclass(frozen=True)
class Tree:
    """A file system's root with Debian's programs below it, `tools` the folder of its clients."""

    root: Path
    tools: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program of it needs beside its path."""
        if self.root == Path("/"):
            return {}
        return {"LD_LIBRARY_PATH": ":".join(str(folder) for folder in _libraries(self.root))}


def tree(settings: Settings) -> Tree:
    """Where the programs are, or will be once `ensure` has run."""
    chosen = settings.services.debian_root
    if chosen != UNPACKED:
        return Tree(Path(chosen), Path(chosen) / "usr" / "bin")
    folder = _folder(settings)
    return Tree(folder / "root", folder / "tools")


def ensure(settings: Settings, programs: tuple[str, ...], user: User, progress: Progress) -> Tree:
    """Unpacks what is missing. Raises LabError naming those of `programs`, paths below the root,
    that `user` cannot run after that."""
    if settings.services.debian_root == UNPACKED:
        folder = _folder(settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock_file(folder).open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # the engines start side by side, and share it
            if not _is_current(folder):
                with progress.step("MariaDB's, Redis's and RabbitMQ's programs"):
                    _unpack(folder)
    found = tree(settings)
    missing = [p for p in programs if not user.can_run(found.root / p)]
    if missing:
        raise LabError(
            f"{', '.join(missing)} cannot be run from {found.root}: set services.debian_root in "
            f'lab/settings.toml to "{UNPACKED}", or to the root of a system that has them '
            '(Debian: apt-get install mariadb-server redis-server rabbitmq-server, then "/")'
        )
    return found


def clean(settings: Settings) -> None:
    """Removes what was unpacked into a cache in the home; one elsewhere may be shared."""
    if not settings.cache.is_relative_to(settings.home):
        return
    folder = _folder(settings)
    for path in (folder, _fresh(folder), _lock_file(folder)):
        away.remove(path)


def _folder(settings: Settings) -> Path:
    return settings.cache.resolve() / "debian-services"


def _fresh(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _digest() -> str:
    """Of what is unpacked, how, and the release whose libraries it counts on."""
    release = Path("/etc/debian_version")
    parts = [PACKAGES.read_bytes(), Path(__file__).read_bytes()]
    parts.append(release.read_bytes() if release.exists() else b"")
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_current(folder: Path) -> bool:
    try:
        return (folder / "digest").read_text(encoding="ascii") == _digest()
    except OSError:
        return False


def _unpack(folder: Path) -> None:
    """Puts everything into a fresh folder that takes its place when it is whole."""
    for program in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(program) is None:
            raise LabError(
                f"{program} is not here: MariaDB, Redis and RabbitMQ come from Debian's packages. "
                "Elsewhere install them and set services.debian_root in lab/settings.toml"
            )
    fresh = _fresh(folder)
    away.remove(fresh)
    archives = fresh / "apt" / "cache" / "archives"
    for made in (fresh / "root", fresh / "apt" / "state" / "lists" / "partial", archives):
        made.mkdir(parents=True)
    apt = _apt_options(fresh / "apt")
    _run(["apt-get", *apt, "--quiet=2", "update"])
    needed = _needed(apt)
    _run(["apt-get", *apt, "--quiet=2", "download", *needed], cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "--extract", str(archive), str(fresh / "root")])
    away.remove(fresh / "apt")
    _make_relocatable(fresh / "root")
    _write_tools(fresh)
    (fresh / "digest").write_text(_digest(), encoding="ascii")
    away.remove(folder)
    fresh.rename(folder)


def _apt_options(folder: Path) -> list[str]:
    values = {
        "Dir::State": folder / "state",
        "Dir::State::status": STATUS,
        "Dir::Cache": folder / "cache",
        "Dir::Log": folder,
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",  # the folders are the caller's; without root it means nothing
        "APT::Install-Recommends": "false",
    }
    return [part for name, value in values.items() for part in ("-o", f"{name}={value}")]


def _needed(apt: list[str]) -> list[str]:
    """The packages to unpack: what apt would install for ours here, and every part of ours."""
    wanted = [
        line
        for line in PACKAGES.read_text(encoding="ascii").splitlines()
        if line and not line.startswith("#")
    ]
    simulated = _run(["apt-get", *apt, "--simulate", "install", *wanted])
    lacking = re.findall(r"^Inst (\S+)", simulated, re.MULTILINE)
    left_out = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    only = [f"--no-{kind}" for kind in left_out]
    closure = _run(["apt-cache", *apt, "depends", "--recurse", *only, *wanted])
    parts = [name for name in re.findall(r"^(\S+)$", closure, re.MULTILINE) if OWN.match(name)]
    return sorted({*lacking, *wanted, *parts})


def _make_relocatable(root: Path) -> None:
    for name in ("erl", "start"):
        script = root / "usr" / "lib" / "erlang" / "bin" / name
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace(FIXED_ROOT, FOUND_ROOT), encoding="utf-8")
    for path in root.rglob("*"):
        # Unpacked by root, a file must not lend root's rights to who runs it.
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000:
            path.chmod(path.stat().st_mode & 0o777)


def _write_tools(fresh: Path) -> None:
    root = fresh / "root"
    libraries = ":".join(f"$here/../root/{f.relative_to(root)}" for f in _libraries(root))
    (fresh / "tools").mkdir()
    for tool, folder in TOOLS.items():
        wrapper = fresh / "tools" / tool
        text = WRAPPER.format(libraries=libraries, folder=folder, tool=tool)
        wrapper.write_text(text, encoding="ascii")
        wrapper.chmod(0o755)
    (fresh / SHARE).parent.mkdir()
    (fresh / SHARE).symlink_to(Path("..") / "root" / "usr" / SHARE)


def _libraries(root: Path) -> list[Path]:
    # Some packages still have theirs in /lib, which an installed system joins with /usr/lib.
    return sorted(folder for top in ("usr/lib", "lib") for folder in (root / top).glob("*-linux-*"))


def _run(command: list[str], cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )
    if done.returncode:
        what = " ".join(part for part in command if "=" not in part and part != "-o")
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        raise LabError(f"{what[:120]} failed; it needs Debian's packages:\n{tail}")
    return done.stdout
