"""Golden images: a machine's disk with what is to run on it, made of Debian's packages.

No Internet is needed once a machine runs: whoever configures it finds everything there. The kernel
and its modules are those of the lab's guest, whose ramdisk hands over to the disk. Made once for
all checkouts that share a cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import debian
from lab.openstack.dataplane import guest
from lab.openstack.dataplane.recipes import RECIPES, Recipe
from lab.openstack.planes import ImageFile
from lab.tool import run

HERE = Path(__file__).parent
#: Read when a machine is ordered, never offered as a system to order for its own sake.
PURPOSE = "egov_purpose"
BASE = ("python3", "dropbear-bin", "busybox-static", "e2fsprogs", "runit")
#: What only maintainer scripts would need, or nobody on a machine that has one purpose.
WITHOUT = (
    *("perl", "perl-base", "perl-modules-5.36", "libperl5.36", "debconf", "dpkg", "tar", "ucf"),
    *("adduser", "init-system-helpers", "sysvinit-utils", "openssl", "passwd", "coreutils"),
    *("media-types", "runit-helper", "sysuser-helper", "logsave", "gcc-12-base", "bash"),
)
UNWANTED = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/perl5"),
    *("usr/share/lintian", "usr/share/bash-completion", "usr/lib/systemd", "usr/share/perl"),
    *("usr/lib/udev", "etc/cron.daily"),
    *("etc/sv", "etc/runit", "etc/service"),
    *("usr/lib/python3.11/pydoc_data", "usr/lib/python3.11/lib2to3"),
)
#: On Debian each of these is a link to the folder of that name below /usr.
MERGED = ("bin", "sbin", "lib", "lib64")
FOLDERS = (
    *("dev", "proc", "sys", "run", "tmp", "mnt", "root", "var/lib", "var/log"),
    *("etc/dropbear", "etc/service", "srv"),
)
ACCOUNTS = "root:*:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\n"
SPARE_MIB = 96


def file_of(folder: Path, recipe: Recipe) -> Path:
    """Where an image is, or will be, below the cache."""
    what = [Path(__file__), HERE / "guest-common", HERE / "machine-init"]
    digest = hashlib.sha256(repr(recipe).encode() + b"".join(f.read_bytes() for f in what))
    return folder / f"{recipe.name}-{digest.hexdigest()[:12]}.raw"


def build(folder: Path, say: Callable[[str], None]) -> None:
    """Makes the images that are missing below `folder`. Raises LabError."""
    missing = [recipe for recipe in RECIPES if not file_of(folder, recipe).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    apt = debian.Apt(folder / "apt")
    for recipe in missing:
        say(f"building the image {recipe.name} from Debian's packages")
        packages = apt.download((*BASE, *recipe.packages), (*WITHOUT, *recipe.without))
        with tempfile.TemporaryDirectory(dir=folder) as work:
            root = Path(work) / "root"
            _fill(root, recipe, packages)
            draft = Path(work) / "disk.raw"
            _write_disk(root, draft)
            draft.replace(file_of(folder, recipe))


def _fill(root: Path, recipe: Recipe, packages: list[Path]) -> None:
    """Packages unpacked, and what their maintainer scripts would have done."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        _unpack(package, root)
    for path in (*UNWANTED, *recipe.unwanted):
        if (root / path).is_symlink() or (root / path).is_file():
            (root / path).unlink()
        shutil.rmtree(root / path, ignore_errors=True)
    for path in FOLDERS:
        (root / path).mkdir(parents=True, exist_ok=True)
    _add_tools(root)
    # Or each run of a module would compile what it imports, on an emulated processor.
    run(["chroot", root, "python3", "-m", "compileall", "-q", "/usr/lib/python3.11"], timeout_s=300)
    etc = root / "etc"
    users = recipe.users
    (etc / "passwd").write_text(
        ACCOUNTS + "".join(f"{name}:x:{uid}:{uid}::/srv:/bin/sh\n" for name, uid in users)
    )
    (etc / "group").write_text(GROUPS + "".join(f"{name}:x:{uid}:\n" for name, uid in users))
    (etc / "shells").write_text("/bin/sh\n")  # dropbear refuses a shell not in it
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    shutil.copy(HERE / "guest-common", etc)
    (root / "sbin" / "init").unlink(missing_ok=True)
    shutil.copy(HERE / "machine-init", root / "usr" / "sbin" / "init")
    (root / "usr" / "sbin" / "init").chmod(0o755)


def _unpack(package: Path, root: Path) -> None:
    """A package from before Debian's merger of /usr has folders where links stand here."""
    with tempfile.TemporaryDirectory(dir=root.parent) as work:
        debian.unpack(package, Path(work))
        for name in MERGED:
            old = Path(work) / name
            if old.is_dir() and not old.is_symlink():
                run(["cp", "-a", "-T", old, root / "usr" / name])
                shutil.rmtree(old)
        run(["cp", "-a", "-T", work, root])


def _add_tools(root: Path) -> None:
    """busybox where Debian's own tool is not."""
    for applet in run(["/bin/busybox", "--list"]).split():
        tool = root / "usr" / "bin" / applet
        if not (os.path.lexists(tool) or os.path.lexists(root / "usr" / "sbin" / applet)):
            tool.symlink_to("busybox")


def _write_disk(root: Path, target: Path) -> None:
    """An ext4 file system over the whole disk, as small as what is in it and a little more."""
    used_mib = int(run(["du", "-sm", root]).split()[0])
    with target.open("wb") as disk:
        disk.truncate((used_mib + used_mib // 8 + SPARE_MIB) * 2**20)
    options = ["-q", "-F", "-t", "ext4", "-m", "0", "-J", "size=4", "-L", "system"]
    run(["mke2fs", *options, "-d", root, target], timeout_s=300)


def images(folder: Path) -> list[ImageFile]:
    """What glance must hold beside the guest's kernel and ramdisk, whose images they name."""
    return [
        ImageFile(
            recipe.name,
            file_of(folder, recipe),
            "raw",
            {**guest.BOOT, "os_name": recipe.title, PURPOSE: recipe.purpose},
        )
        for recipe in RECIPES
    ]
