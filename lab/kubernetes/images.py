"""Container images made of Debian's packages alone: no registry, no engine, no maintainer script.

Each folder of `recipes/` is one image: `image.toml`, and below `files/` what a package's scripts
would have set up. apt downloads the packages and all they need, their files become one layer.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import debian
from lab.errors import LabError
from lab.progress import Progress

RECIPES = Path(__file__).with_name("recipes")
REGISTRY = "lab.local"
#: On Debian each of these is a link to the folder of that name below /usr.
MERGED = ("bin", "sbin", "lib", "lib64")
#: What no program needs while it runs in a container.
UNWANTED = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale"),
    *("usr/share/lintian", "usr/share/bash-completion", "usr/lib/udev", "usr/lib/systemd"),
    "etc/cron.daily",
)
BUSYBOX = (
    *("sh", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df"),
    *("du", "echo", "env", "false", "find", "grep", "head", "hostname", "httpd"),
    *("id", "kill", "ln", "ls", "mkdir", "mv", "nc", "nslookup", "printf"),
    *("ps", "rm", "rmdir", "sed", "seq", "sha256sum", "sleep", "sort", "tail"),
    *("tar", "tee", "test", "timeout", "touch", "tr", "true", "uname", "vi"),
    *("wc", "wget", "xargs"),
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPRESSION = 6
#: Every image has these users; a recipe's `user` is one of the numbers.
USERS = {
    "root": 0,
    "rabbitmq": 996,
    "redis": 997,
    "mysql": 998,
    "postgres": 999,
    "nobody": 65532,
}


@dataclass(frozen=True)
class Recipe:
    """One image: what is in it and what runs; `command` is its entry point."""

    name: str
    version: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    user: int
    without: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    environment: dict[str, str] = field(default_factory=dict)
    #: Folders to make, each with its owner and octal mode.
    folders: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Files to add by their path in the image, with their mode.
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """By which a pod names it."""
        return f"{REGISTRY}/{self.name}:{self.version}"


def recipes(folder: Path = RECIPES) -> list[Recipe]:
    """Every recipe. Raises LabError naming the file that cannot be read."""
    return [_read(file.parent) for file in sorted(folder.glob("*/image.toml"))]


def _read(folder: Path) -> Recipe:
    file = folder / "image.toml"
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        return Recipe(
            name=folder.name,
            version=raw["version"],
            packages=tuple(raw["packages"]),
            command=tuple(raw["command"]),
            user=raw["user"],
            without=tuple(raw.get("without", ())),
            unwanted=tuple(raw.get("unwanted", ())),
            stop_signal=raw.get("stop_signal", "SIGTERM"),
            environment=raw.get("environment", {}),
            folders={
                path: (entry["owner"], int(entry["mode"], 8))
                for path, entry in raw.get("folders", {}).items()
            },
            files=_files(folder / "files"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{file} is no recipe of an image: {error!r}") from error


def _files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(file.relative_to(folder)): (
            file.read_bytes(),
            0o755 if file.stat().st_mode & 0o100 else 0o644,
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def files(made: Path) -> list[Path]:
    """Where each image is, or will be: one file per recipe, named by what it is made from."""
    return [_file(made, recipe) for recipe in recipes()]


def _file(made: Path, recipe: Recipe) -> Path:
    what = repr(recipe).encode() + Path(__file__).read_bytes()
    return made / "images" / f"{recipe.name}-{hashlib.sha256(what).hexdigest()[:12]}.tar"


def ensure(made: Path, progress: Progress) -> None:
    """Makes the images that are missing below `made`. Raises LabError."""
    missing = [recipe for recipe in recipes() if not _file(made, recipe).exists()]
    if not missing:
        return
    (made / "images").mkdir(parents=True, exist_ok=True)
    apt = debian.Apt(made / "apt")
    with progress.step(f"images: download {len(missing)} from Debian"):
        packages = {
            recipe.name: apt.download(recipe.packages, recipe.without) for recipe in missing
        }
    with progress.step(f"images: {', '.join(recipe.name for recipe in missing)}"):
        with ThreadPoolExecutor(2) as pool:
            made_all = [
                pool.submit(_make, recipe, packages[recipe.name], _file(made, recipe))
                for recipe in missing
            ]
        for one in made_all:
            one.result()


def _make(recipe: Recipe, packages: list[Path], target: Path) -> None:
    layer = Layer()
    for package in packages:
        layer.add_package(debian.files_in(package), recipe.unwanted)
    layer.finish(recipe)
    draft = target.with_suffix(".new")
    write_image(recipe, layer.tar(), draft)
    draft.replace(target)


class Layer:
    """The one layer of an image, path by path; a folder appears before what is in it."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        for name in MERGED:
            self._add(f"usr/{name}", tarfile.DIRTYPE)
            self._add(name, tarfile.SYMTYPE, link=f"usr/{name}")
        for name in ("dev", "etc", "proc", "run", "sys", "var"):
            self._add(name, tarfile.DIRTYPE)
        self._add("tmp", tarfile.DIRTYPE, mode=0o1777)

    def paths(self) -> list[str]:
        return sorted(self._entries)

    def add_package(self, content: bytes, unwanted: tuple[str, ...] = ()) -> None:
        """The files of a Debian package, given as its tar archive."""
        with tarfile.open(fileobj=io.BytesIO(content)) as package:
            for member in package:
                path = place(member.name, unwanted)
                if path is None or (member.isdir() and path in self._entries):
                    continue
                # A hard link names a path of the archive; a symbolic one is kept as it is.
                link = place(member.linkname, unwanted) if member.islnk() else member.linkname
                if link is None:
                    continue
                stream = package.extractfile(member) if member.isreg() else None
                data = stream.read() if stream else b""
                kind = member.type
                self._add(path, kind, data, mode=member.mode, owner=member.uid, link=link)

    def finish(self, recipe: Recipe) -> None:
        """What the packages' scripts would have done, and the tools of busybox."""
        for applet in BUSYBOX:
            if f"usr/bin/{applet}" not in self._entries:
                self._add(f"usr/bin/{applet}", tarfile.SYMTYPE, link="busybox")
        for path, (owner, mode) in recipe.folders.items():
            self._add(path, tarfile.DIRTYPE, mode=mode, owner=owner)
        accounts = "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in USERS.items())
        groups = "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items())
        for path, (data, mode) in {
            "etc/passwd": (accounts.encode(), 0o644),
            "etc/group": (groups.encode(), 0o644),
            **recipe.files,
        }.items():
            self._add(path, tarfile.REGTYPE, data, mode=mode)

    def tar(self) -> bytes:
        """The layer as one archive, the same for the same content."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for path in sorted(self._entries):
                info, data = self._entries[path]
                archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
        return out.getvalue()

    def _add(
        self,
        path: str,
        kind: bytes,
        data: bytes = b"",
        *,
        mode: int = 0o755,
        owner: int = 0,
        link: str = "",
    ) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self._add(parent, tarfile.DIRTYPE)
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname, info.size = kind, mode, link, len(data)
        info.uid = info.gid = owner
        self._entries[path] = info, data


def place(name: str, unwanted: tuple[str, ...] = ()) -> str | None:
    """Where a package's path lies in an image; None if it is not wanted there."""
    path = name.removeprefix("./").strip("/")
    first, _, rest = path.partition("/")
    if first in MERGED:
        path = f"usr/{first}/{rest}".rstrip("/")
    hidden = any(path == u or path.startswith(f"{u}/") for u in (*UNWANTED, *unwanted))
    return None if not path or hidden else path


def write_image(recipe: Recipe, layer: bytes, target: Path) -> None:
    """An OCI image layout with one image in a tar file, as `ctr images import` takes it."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    config = blob(_json(_config(recipe, layer)), "config.v1+json")
    compressed = gzip.compress(layer, COMPRESSION, mtime=0)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [blob(compressed, "layer.v1.tar+gzip")],
    }
    top = blob(_json(manifest), "manifest.v1+json")
    top["annotations"] = {
        "io.containerd.image.name": recipe.reference,
        "org.opencontainers.image.ref.name": recipe.version,
    }
    blobs["index.json"] = _json({"schemaVersion": 2, "manifests": [top]})
    blobs["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(target, "w") as archive:
        for path, data in sorted(blobs.items()):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _config(recipe: Recipe, layer: bytes) -> dict[str, Any]:
    environment = {"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8", **recipe.environment}
    machine = platform.machine()
    return {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {
            "Entrypoint": list(recipe.command),
            "User": str(recipe.user),
            "WorkingDir": "/",
            "StopSignal": recipe.stop_signal,
            "Env": [f"{name}={value}" for name, value in environment.items()],
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
        },
    }


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
