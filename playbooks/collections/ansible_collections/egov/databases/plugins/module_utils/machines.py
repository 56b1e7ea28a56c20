"""A server on a machine of its own: its data volume, its files, runit; runs on the machine."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: What the module of any engine is told.
OPTIONS: dict[str, Any] = {
    "volume_id": {"type": "str", "required": True},
    "admin_password": {"type": "str", "required": True, "no_log": True},
    "max_connections": {"type": "int", "required": True},
    "server_key": {"type": "str", "required": True, "no_log": True},
    "server_certificate": {"type": "str", "required": True},
    "timeout_s": {"type": "int", "default": 120},
}
MOUNT = Path("/srv/data")
#: In memory, gone when the machine starts again.
RUN = Path("/run")
SERVICES = Path("/etc/service")
#: A virtio disk shows so much of its serial number.
SERIAL_LENGTH = 20
#: Of an ext4 file system: where its superblock is, and what it begins with there.
SUPERBLOCK, MAGIC_AT, MAGIC = 1024, 56, 0xEF53

#: How every server starts, also after the machine has: on its volume, grown to its disk.
VOLUME_THERE = """#!/bin/sh
# Kept running by runit, and started by it when the machine starts.
exec 2>&1
disk=""
while [ -z "$disk" ]; do
  disk=$(grep -l "^{serial}" /sys/block/vd*/serial 2>/dev/null | cut -d/ -f4)
  [ -n "$disk" ] || sleep 1
done
mkdir -p {mount}
if ! grep -q " {mount} " /proc/mounts; then
  mount -t ext4 -o noatime "/dev/$disk" {mount} || exit 1
fi
/usr/sbin/resize2fs "/dev/$disk" >/dev/null 2>&1
memory_kib=$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)
"""

#: A service of its own: whose disk is full has it made larger, and cannot wait for the next start.
VOLUME_GROWS = """#!/bin/sh
# The file system grows with its disk while the server runs.
exec 2>&1
known=""
while :; do
  disk=$(grep -l "^{serial}" /sys/block/vd*/serial 2>/dev/null | cut -d/ -f4)
  size=$(cat "/sys/block/$disk/size" 2>/dev/null)
  if [ "$size" != "$known" ] && grep -q " {mount} " /proc/mounts; then
    /usr/sbin/resize2fs "/dev/$disk" >/dev/null 2>&1 && known=$size
  fi
  sleep 10
done
"""


class Machine(ABC):
    """The one server of a machine; a second run changes nothing and cuts no connection."""

    #: Of the server's folder on the volume, and of its service.
    name: str
    #: Whose process and whose files.
    user: str

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.wanted: dict[str, Any] = module.params
        self.done: list[str] = []
        self.home = MOUNT / self.name
        self.data = self.home / "data"
        self.service = SERVICES / self.name

    @abstractmethod
    def write_files(self) -> bool:
        """The server's own files; whether they have changed."""

    @abstractmethod
    def fill(self, draft: Path) -> None:
        """What a server needs at its first start, with its administrator, into `draft`."""

    @abstractmethod
    def start_script(self) -> str:
        """What follows `VOLUME_THERE`; it may use `memory_kib`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes connections."""

    @abstractmethod
    def take_in(self) -> None:
        """A running server shall hold to files of its that have changed."""

    @abstractmethod
    def last_words(self) -> str:
        """The end of its log."""

    def carry_out(self) -> None:
        disk = self.disk()
        self.write(self.service / "down", "", 0o644, unless=self.service / "run")
        self.mount(disk)
        self.home.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(self.home, self.user, self.user)
        is_changed = self.write_files()
        self.make_data()
        grows = VOLUME_GROWS.format(serial=self.serial, mount=MOUNT)
        self.write(SERVICES / "volume" / "run", grows, 0o755)
        script = VOLUME_THERE.format(serial=self.serial, mount=MOUNT) + self.start_script()
        restarts = self.write(self.service / "run", script, 0o755)
        self.supervise(restarts=restarts, is_changed=is_changed)

    @property
    def serial(self) -> str:
        return str(self.wanted["volume_id"][:SERIAL_LENGTH])

    def disk(self) -> Path:
        """The data volume; an attachment may still be on its way into the guest."""
        deadline = time.monotonic() + 30
        while True:
            for file in Path("/sys/block").glob("vd*/serial"):
                if file.read_text().strip() == self.serial:
                    return Path("/dev") / file.parent.name
            if time.monotonic() > deadline:
                self.fail(f"no disk with the serial number {self.serial} is attached")
            time.sleep(0.2)

    def mount(self, disk: Path) -> None:
        if f" {MOUNT} " in Path("/proc/mounts").read_text():
            return
        with disk.open("rb") as device:
            head = device.read(64 * 1024)
        if is_blank(head):
            self.command("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "egov-data", disk)
            self.done.append("volume formatted")
        elif not is_ext4(head):
            self.fail(f"{disk} holds something else than ext4; it is not formatted")
        MOUNT.mkdir(exist_ok=True)
        self.command("mount", "-t", "ext4", "-o", "noatime", disk, MOUNT)
        self.done.append("volume mounted")

    def make_data(self) -> None:
        """The data folder, whole or not at all."""
        if self.data.exists():
            return
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        shutil.chown(draft, self.user, self.user)
        self.fill(draft)
        os.sync()
        draft.rename(self.data)
        self.done.append("data folder made")

    def write_certificate(self) -> bool:
        written = [
            self.write(self.home / "tls.crt", self.wanted["server_certificate"], 0o644),
            self.write(self.home / "tls.key", self.wanted["server_key"], 0o600),
        ]
        return any(written)

    def handed_over(self, name: str, text: str) -> Path:
        """A file in memory for a program of the server's user: never readable for anybody else."""
        path = RUN / name
        path.unlink(missing_ok=True)  # of a run that was killed
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        shutil.chown(path, self.user, self.user)
        return path

    def write(self, path: Path, text: str, mode: int, unless: Path | None = None) -> bool:
        """Whether the file had to be written; whole or not at all, and a key never readable."""
        if unless is not None and unless.exists():
            return False
        if path.exists() and path.read_text() == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        draft.chmod(mode)
        if path.is_relative_to(self.home):
            shutil.chown(draft, self.user, self.user)
        draft.rename(path)
        self.done.append(f"{path.name} written")
        return True

    def supervise(self, *, restarts: bool, is_changed: bool) -> None:
        """Running, as its files say; `runsvdir` looks for new services every five seconds."""
        deadline = time.monotonic() + self.wanted["timeout_s"]
        while not (self.service / "supervise" / "ok").exists():
            if time.monotonic() > deadline:
                self.fail("runit does not look after the server")
            time.sleep(0.2)
        (self.service / "down").unlink(missing_ok=True)
        if not self.answers():
            self.command("sv", "up", self.service)
            self.done.append("server started")
        elif restarts:
            self.restart()
        elif is_changed:
            self.take_in()
        while not self.answers():
            if time.monotonic() > deadline:
                self.fail(f"the server does not answer: {self.last_words()}")
            time.sleep(0.2)

    def restart(self) -> None:
        self.command("sv", "-w", "60", "restart", self.service)

    def as_user(self, *words: Any, text: str | None = None) -> None:
        self.command("chpst", "-u", self.user, *words, text=text)

    def command(self, *words: Any, text: str | None = None) -> None:
        done = subprocess.run(
            [str(word) for word in words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            self.fail(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")

    def fail(self, sentence: str) -> None:
        self.module.fail_json(msg=sentence, done=self.done)


def is_ext4(head: bytes) -> bool:
    return bool(struct.unpack_from("<H", head, SUPERBLOCK + MAGIC_AT)[0] == MAGIC)


def is_blank(head: bytes) -> bool:
    return not head.strip(b"\0")
