"""The node's own view of the machine's folders and kernel settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.kubernetes.inside.facts import Facts

#: What programs of a node write to by fixed names: they get empty ones of their own.
COVERED = ("/run", "/var/lib", "/var/log")
ASIDE = Path("/mnt")
# What the kubelet wants to see and would otherwise set for the whole machine: these values are
# laid over the kernel's files, in this mount namespace only.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def cover(facts: Facts) -> None:
    """Covers the folders; what the lab itself keeps below one of them is put back in its place."""
    _mount("--make-rshared", "/")  # shared among the node's own namespaces, not with the machine
    kept = [f for f in map(Path, facts.kept_folders) if any(f.is_relative_to(c) for c in COVERED)]
    _mount("-t", "tmpfs", "tmpfs", str(ASIDE))
    for number, folder in enumerate(kept):
        (ASIDE / str(number)).mkdir()
        _mount("--bind", str(folder), str(ASIDE / str(number)))
    for covered in COVERED:
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", covered)
    for number, folder in enumerate(kept):
        folder.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(ASIDE / str(number)), str(folder))
    _run("umount", "--no-mtab", "--recursive", str(ASIDE))
    _settings(Path(facts.folder) / "kernel")


def _settings(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, value in KERNEL_SETTINGS.items():
        file = folder / name.replace("/", ".")
        file.write_text(f"{value}\n", encoding="ascii")
        _mount("--bind", str(file), f"/proc/sys/{name}")


def _mount(*arguments: str) -> None:
    _run("mount", "--no-mtab", *arguments)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
