"""Builds the lab's tiny guest from Debian packages and names it to glance as `lab-tiny`.

Debian's cloud kernel, busybox and dropbear make 18 MB that boot in 4 s without hardware
virtualisation; a stock cloud image needs a minute and 500 MB there.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.openstack.dataplane.layout import Layout
from lab.openstack.planes import ImageFile
from lab.tool import ToolError, run

IMAGE_NAME = "lab-tiny"
LOGIN_USER = "root"
KERNEL_ARGUMENTS = "console=ttyS0 mitigations=off quiet"
KERNEL_NAME, RAMDISK_NAME = f"{IMAGE_NAME}-kernel", f"{IMAGE_NAME}-ramdisk"
#: How whatever disk is booted by this kernel and this ramdisk.
BOOT = {
    "kernel_id": f"image:{KERNEL_NAME}",
    "ramdisk_id": f"image:{RAMDISK_NAME}",
    "os_command_line": KERNEL_ARGUMENTS,
    "os_admin_user": LOGIN_USER,
    "hw_rng_model": "virtio",
    "hw_video_model": "none",
}

INIT_SCRIPT = Path(__file__).with_name("guest-init")
COMMON_SCRIPT = Path(__file__).with_name("guest-common")
BLANK_DISK_BYTES = 8 * 1024 * 1024
# Load order matters: a module's needs come before it, and virtio_ring before virtio.
KERNEL_MODULES = [
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("virtio-rng", "virtio_blk", "failover", "net_failover", "virtio_net"),
    *("cdrom", "scsi_common", "scsi_mod", "libata", "ata_piix", "sr_mod", "isofs"),
    *("button", "evdev"),
]
SSH_PACKAGES = ("dropbear-bin", "libtommath1", "libtomcrypt1", "libgmp10")
GUEST_FOLDERS = [
    *("bin", "sbin", "dev", "etc", "lib/modules", "mnt", "persist", "proc", "root", "run"),
    *("sys", "tmp", "var/run"),
]


def kernel_file(layout: Layout) -> Path:
    return layout.guest_folder / "vmlinuz"


def ramdisk_file(layout: Layout) -> Path:
    return layout.guest_folder / "initrd.gz"


def blank_disk_file(layout: Layout) -> Path:
    return layout.guest_folder / "blank.raw"


def build(layout: Layout, say: Callable[[str], None]) -> None:
    """Build kernel, ramdisk and blank disk, unless the same inputs built them before.

    Raises ToolError when a package cannot be fetched.
    """
    kernel_package = _kernel_package()
    digest = _inputs_digest(kernel_package)
    stamp = layout.guest_folder / "inputs.sha256"
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"building the lab's guest from {kernel_package}, busybox and dropbear")
    layout.guest_folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.guest_folder) as work:
        _build_in(Path(work), kernel_package, layout)
    with blank_disk_file(layout).open("wb") as disk:
        disk.truncate(BLANK_DISK_BYTES)
    stamp.write_text(digest)


def _kernel_package() -> str:
    """The package the meta package stands for now, e.g. linux-image-6.1.0-56-cloud-amd64."""
    for line in run(["apt-cache", "depends", "linux-image-cloud-amd64"]).splitlines():
        if line.strip().startswith("Depends: "):
            return line.split()[1]
    raise ToolError("apt knows no linux-image-cloud-amd64: run `apt-get update`")


def _inputs_digest(kernel_package: str) -> str:
    text = [kernel_package, *KERNEL_MODULES, *SSH_PACKAGES]
    scripts = INIT_SCRIPT.read_bytes() + COMMON_SCRIPT.read_bytes()
    return hashlib.sha256(scripts + " ".join(text).encode()).hexdigest()


def _build_in(work: Path, kernel_package: str, layout: Layout) -> None:
    packages, kernel, programs, root = (work / n for n in ("debs", "kernel", "programs", "root"))
    for folder in (packages, kernel, programs, root):
        folder.mkdir()
    fetch = ["apt-get", "download", "-qq", kernel_package, *SSH_PACKAGES]
    # apt drops to its own user for downloads and warns where that user may not write
    run(["env", "-C", packages, *fetch, "-o", "APT::Sandbox::User=root"], timeout_s=300)
    for deb in packages.glob("*.deb"):
        target = kernel if deb.name.startswith("linux-image") else programs
        run(["dpkg-deb", "-x", deb, target])
    _fill_root(root, kernel, programs)
    names = "\0".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    archive = work / "initrd.cpio"
    # cpio reads the names from standard input and writes binary, so it gets the file by a shell
    run(
        ["sh", "-c", 'cd "$1" && cpio -0 -o -H newc --quiet > "$2"', "cpio", root, archive],
        stdin=names,
    )
    with archive.open("rb") as plain, gzip.open(ramdisk_file(layout), "wb", 6) as packed:
        shutil.copyfileobj(plain, packed)
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), kernel_file(layout))


def _fill_root(root: Path, kernel: Path, programs: Path) -> None:
    """Lay the ramdisk's files out: busybox, dropbear with its libraries, modules, init."""
    for folder in GUEST_FOLDERS:
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin")
    (root / "bin" / "sh").symlink_to("busybox")
    for name in ("dropbear", "dropbearkey", "dropbearconvert"):
        shutil.copy(next(p for p in programs.rglob(name) if p.is_file()), root / "sbin")
    _copy_libraries(root, programs)
    for module in KERNEL_MODULES:
        shutil.copy(next(kernel.rglob(f"{module}.ko")), root / "lib" / "modules")
    (root / "lib" / "modules" / "modules.order").write_text("\n".join(KERNEL_MODULES) + "\n")
    shutil.copy(INIT_SCRIPT, root / "init")
    shutil.copy(COMMON_SCRIPT, root / "etc")
    (root / "init").chmod(0o755)
    (root / "etc" / "passwd").write_text("root:*:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    (root / "etc" / "shells").write_text("/bin/sh\n")  # dropbear refuses a shell not in it


def _copy_libraries(root: Path, programs: Path) -> None:
    """Copy what dropbear links to; its packages' own libraries stand where Debian puts them."""
    own = next(programs.rglob("libtommath.so*")).parent
    listing = run(["ldd", root / "sbin" / "dropbear"], env={"LD_LIBRARY_PATH": str(own)})
    for line in listing.splitlines():
        paths = [word for word in line.split() if word.startswith("/")]
        if not paths:
            continue
        library = Path(paths[0])
        inside = library.relative_to(programs if library.is_relative_to(programs) else "/")
        (root / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / inside)  # copy follows the link to the real file


def images(layout: Layout) -> list[ImageFile]:
    """What glance must hold for servers to boot the guest: kernel, ramdisk, an empty disk."""
    return [
        ImageFile(KERNEL_NAME, kernel_file(layout), "aki"),
        ImageFile(RAMDISK_NAME, ramdisk_file(layout), "ari"),
        ImageFile(IMAGE_NAME, blank_disk_file(layout), "raw", BOOT),
    ]
