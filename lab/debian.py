"""Debian packages by the machine's own apt: resolved and downloaded, never installed.

Nothing of the machine's package state is changed; apt checks the signatures as ever.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from lab.errors import LabError

TIMEOUT_S = 600


class Apt:
    """apt-get with folders of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("apt-get") is None:
            raise LabError("apt-get is not here: this needs Debian's packages")
        self._folder = folder
        self._own_lists = folder / "lists"
        self._empty_status = folder / "status"

    def download(self, names: Sequence[str], without: Collection[str] = ()) -> list[Path]:
        """Package files of `names` and all they need, as on an empty machine, less `without`.

        Raises LabError with apt's last words.
        """
        (self._folder / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        self._empty_status.touch()
        try:
            return self._download(names, without)
        except LabError:
            # No package lists, as in a fresh container, or older ones than the archive's files.
            self._refresh()
            return self._download(names, without)

    def _download(self, names: Sequence[str], without: Collection[str]) -> list[Path]:
        plan = self._run("install", "--simulate", *names)
        planned = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
        wanted = sorted(planned - set(without))
        archives = self._folder / "archives"
        # Asked from elsewhere: apt leaves out files that lie in its current folder.
        uris = self._run("download", "--print-uris", *wanted, cwd=self._folder)
        files = [archives / line.split()[1] for line in uris.splitlines() if line.startswith("'")]
        missing = [file for file in files if not file.exists()]
        if missing:
            self._run("download", "-qq", *(_name_of(file) for file in missing))
        return files

    def _refresh(self) -> None:
        (self._own_lists / "partial").mkdir(parents=True, exist_ok=True)
        self._run("update", "-qq")

    def _run(self, *arguments: str, cwd: Path | None = None) -> str:
        cache = f"Dir::Cache::archives={self._folder / 'archives'}"
        options = [
            *(cache, "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="),
            *("APT::Install-Recommends=false", "Acquire::Languages=none"),
            *("Debug::NoLocking=true", "APT::Sandbox::User="),
            f"Dir::State::status={self._empty_status}",
        ]
        if self._own_lists.exists():
            options.append(f"Dir::State::lists={self._own_lists}")
        flags = [word for option in options for word in ("-o", option)]
        try:
            done = subprocess.run(
                ["apt-get", *flags, *arguments],
                cwd=cwd or self._folder / "archives",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise LabError(f"apt-get {arguments[0]} took over {TIMEOUT_S} s") from late
        if done.returncode:
            said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
            raise LabError(f"apt-get {arguments[0]} {' '.join(arguments[-3:])} failed: {said}")
        return done.stdout


def _name_of(file: Path) -> str:
    """`nginx_1.22.1-9_amd64.deb` is of the package `nginx`."""
    return file.name.partition("_")[0]


def unpack(file: Path, folder: Path) -> None:
    """A package's files below `folder`, without running any of its scripts. Raises LabError."""
    done = subprocess.run(
        ["dpkg-deb", "--extract", str(file), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{file.name} cannot be unpacked: {done.stderr.strip()}")


def files_in(file: Path) -> bytes:
    """A package's files as one tar archive. Raises LabError."""
    done = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(file)], capture_output=True, check=False
    )
    if done.returncode:
        raise LabError(f"{file.name} cannot be read: {done.stderr.decode().strip()}")
    return done.stdout
