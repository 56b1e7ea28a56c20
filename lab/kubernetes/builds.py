"""The cluster's programs, built from Go modules once for each lock and kept in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import away
from lab.errors import LabError
from lab.kubernetes import toolchain
from lab.kubernetes.toolchain import Go
from lab.progress import Progress

SOURCE = Path(__file__).parent / "go"
#: Modules (1.1 GiB), compiled packages (4.5), programs (0.3); the first two go again at the end.
NEEDED_BYTES = 6 * 2**30
NICENESS = 10  # ten minutes of compiling should not stop the machine's other work

VERSION_VARIABLES = "k8s.io/component-base/version"
CONTAINERD = "github.com/containerd/containerd/v2"
CNI = "github.com/containernetworking/plugins/plugins"


@dataclass(frozen=True)
class Build:
    """Programs that are linked together; `names` are further names for the one program."""

    title: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    linked_names: tuple[str, ...] = ()
    #: Compiled first, a step each, so that ten minutes do not pass in silence.
    stages: tuple[tuple[str, str], ...] = ()
    tags: str = ""


KUBERNETES = Build(
    title="Kubernetes",
    packages=("./kubernetes",),
    programs=("kubernetes",),
    linked_names=(
        *("etcd", "kubectl", "kubelet", "kube-apiserver"),
        *("kube-controller-manager", "kube-proxy", "kube-scheduler"),
    ),
    stages=(
        ("etcd", "go.etcd.io/etcd/server/v3/etcdmain"),
        ("API server", "k8s.io/kubernetes/cmd/kube-apiserver/app"),
        ("controllers", "k8s.io/kubernetes/cmd/kube-controller-manager/app"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet/app"),
    ),
)
NODE = (
    Build(
        title="containerd",
        packages=tuple(
            f"{CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        programs=("containerd", "containerd-shim-runc-v2", "ctr"),
        tags="no_btrfs,no_devmapper,no_zfs",
    ),
    Build(title="CoreDNS", packages=("./coredns",), programs=("coredns",)),
    Build(
        title="CNI plug-ins",
        packages=(f"{CNI}/main/ptp", f"{CNI}/main/loopback", f"{CNI}/ipam/host-local"),
        programs=("ptp", "loopback", "host-local"),
    ),
)


def version(module: str) -> str:
    """The locked version of a Go module, such as `v1.37.2`."""
    go_mod = (SOURCE / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s+{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise LabError(f"{SOURCE / 'go.mod'} does not name {module}")
    return found[1]


def lock_hash() -> str:
    """Changes with every file that decides what is built."""
    digest = hashlib.sha256()
    for file in sorted(SOURCE.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(SOURCE)}\0".encode() + file.read_bytes() + b"\0")
    digest.update(repr((KUBERNETES, NODE)).encode())
    return digest.hexdigest()[:12]


def folder(made: Path) -> Path:
    """Where the programs of the present lock are, or will be."""
    return made / f"programs-{lock_hash()}"


def are_built(made: Path, builds: tuple[Build, ...]) -> bool:
    """Whether every program of `builds` is there."""
    return all((folder(made) / name).exists() for build in builds for name in build.programs)


def ensure(made: Path, builds: tuple[Build, ...], go: str, progress: Progress) -> Path:
    """Builds what is missing below `made` and returns the programs' folder.

    `go` is the setting. Raises LabError: no Go, no space, no network, with the last lines of Go.
    """
    if are_built(made, builds):
        return folder(made)
    made.mkdir(parents=True, exist_ok=True)
    with _turn(made):  # checkouts may share the cache
        missing = [build for build in builds if not are_built(made, (build,))]
        if missing:
            _refuse_without_space(made)
            _Builder(toolchain.find(go, made, progress), made, progress).run(missing)
    return folder(made)


@contextlib.contextmanager
def _turn(made: Path) -> Iterator[None]:
    with (made / "build.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_without_space(made: Path) -> None:
    free = shutil.disk_usage(made).free
    if free < NEEDED_BYTES:
        raise LabError(
            f"building Kubernetes needs {NEEDED_BYTES / 2**30:.0f} GiB below {made}, "
            f"{free / 2**30:.1f} GiB are free: make room, or set cache in lab/settings.toml "
            "(LAB_CACHE) to a folder on another disk"
        )


class _Builder:
    """Runs Go with caches of its own, so that nothing is left in anybody's home."""

    def __init__(self, go: Go, made: Path, progress: Progress) -> None:
        self._go = go
        self._progress = progress
        self._out = folder(made)
        self._draft = self._out.with_suffix(".new")
        self._own_caches = made / "go"

    def run(self, builds: list[Build]) -> None:
        self._out.mkdir(exist_ok=True)
        with self._progress.step("Go modules"):
            self._run("mod", "download")
        for build in builds:
            self._build(build)
        # Two gigabytes that serve nobody until the lock changes.
        away.remove(self._own_caches)

    def _build(self, build: Build) -> None:
        for what, package in build.stages:
            with self._progress.step(f"{build.title}: compile {what}"):
                self._compile(package)
        with self._progress.step(f"{build.title}: compile and link"):
            away.remove(self._draft)
            self._draft.mkdir()
            output = f"{self._draft}{os.sep}"
            tags = ["-tags", build.tags] if build.tags else []
            self._compile("-o", output, *tags, "-ldflags", _linker_flags(), *build.packages)
        for name in build.programs:
            (self._draft / name).replace(self._out / name)
        for name in build.linked_names:
            away.remove(self._out / name)
            (self._out / name).symlink_to(build.programs[0])
        away.remove(self._draft)

    def _compile(self, *arguments: str) -> None:
        # What a debugger would read is stripped from the programs: an eighth of the time is saved.
        self._run("build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", *arguments)

    def _run(self, *arguments: str) -> None:
        self._own_caches.mkdir(exist_ok=True)
        done = subprocess.run(
            ["nice", "-n", str(NICENESS), str(self._go.program), *arguments],
            cwd=SOURCE,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(_explain(arguments, done.stderr))

    def _environment(self) -> dict[str, str]:
        own = self._own_caches
        return {
            # Folders of the caller's choice win: a CI keeps them between runs.
            "GOCACHE": str(own / "build"),
            "GOMODCACHE": str(own / "modules"),
            # A fifth of a compiler's time is its garbage collector's, unless that has more room.
            "GOGC": "400",
            **os.environ,
            "HOME": os.environ.get("HOME", str(own)),
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly -modcacherw",
            # Never a compiler that is not the one found.
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }


def _linker_flags() -> str:
    """Small programs that know their version, as the projects' own releases do."""
    kubernetes = version("k8s.io/kubernetes")
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    variables = {
        f"{VERSION_VARIABLES}.gitVersion": kubernetes,
        f"{VERSION_VARIABLES}.gitMajor": major,
        f"{VERSION_VARIABLES}.gitMinor": minor,
        f"{VERSION_VARIABLES}.gitTreeState": "clean",
        f"{CONTAINERD}/version.Version": version(CONTAINERD),
    }
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in variables.items())])


def _explain(arguments: tuple[str, ...], said: str) -> str:
    lines = [line for line in said.strip().splitlines() if not line.startswith("go: downloading")]
    tail = "\n".join(lines[-12:])
    if "no space left on device" in said:
        return f"building Kubernetes: the disk is full\n{tail}"
    if arguments[:2] == ("mod", "download"):
        return (
            "the Go modules of Kubernetes could not be downloaded; Go asks the proxy of GOPROXY\n"
            f"{tail}"
        )
    return f"go {arguments[0]} failed:\n{tail}"
