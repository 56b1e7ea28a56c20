#!/usr/bin/python
"""PostgreSQL on a machine of its own, made of what its golden image holds; runs on the machine."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: postgresql_machine
short_description: PostgreSQL on a machine of its own
description:
  - The data volume is formatted where it is blank, mounted, and grown with its disk. A volume that holds anything is never formatted.
  - The server speaks TLS only and asks for SCRAM; C(runit) keeps it running, also after the machine starts again.
  - A second run changes nothing and cuts no connection.
options:
  volume_id:
    description: The cloud's id of the data volume, which the disk shows as its serial number.
    type: str
    required: true
  port:
    description: Where it listens.
    type: int
    default: 5432
  admin_password:
    description: Of the administrator C(postgres), set when the data folder is made.
    type: str
    required: true
  max_connections:
    description: Connections, the platform's own few included.
    type: int
    required: true
  server_key:
    description: The private key of the certificate.
    type: str
    required: true
  server_certificate:
    description: The certificate with the chain above it.
    type: str
    required: true
  timeout_s:
    description: How long the server may take until it answers.
    type: int
    default: 120
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: PostgreSQL on its machine
  egov.databases.postgresql_machine:
    volume_id: 5c0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    admin_password: "{{ controlplane.machine.admin_password }}"
    max_connections: 110
    server_key: "{{ controlplane.machine.server_key }}"
    server_certificate: "{{ controlplane.machine.server_certificate }}"
  delegate_to: machine
"""

RETURN = r"""
done:
  description: What had to be done, by name.
  type: list
  returned: always
"""

MOUNT = Path("/srv/data")
HOME = MOUNT / "postgresql"
DATA = HOME / "data"
SERVICE = Path("/etc/service/postgresql")
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
#: A virtio disk shows so much of its serial number.
SERIAL_LENGTH = 20
#: Of an ext4 file system: where its superblock is, and what it begins with there.
SUPERBLOCK, MAGIC_AT, MAGIC = 1024, 56, 0xEF53

HBA = """# TLS only, for everybody; the machine's own postgres without a password.
local all postgres peer
hostssl all all all scram-sha-256
"""

RUN = """#!/bin/sh
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
# A quarter of the memory, as PostgreSQL's own documentation advises for a server of its own.
buffers=$(($(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo) / 4096))
mkdir -p /run/postgresql && chown {user} /run/postgresql
cd {home} && exec chpst -u {user} {programs}/postgres -D {data} \\
  -c listen_addresses='*' -c port={port} -c unix_socket_directories=/run/postgresql \\
  -c hba_file={home}/pg_hba.conf -c ssl=on \\
  -c ssl_cert_file={home}/tls.crt -c ssl_key_file={home}/tls.key \\
  -c max_connections={max_connections} -c shared_buffers="${{buffers}}MB" -c jit=off \\
  -c logging_collector=on -c log_directory={home}/log -c log_filename=postgresql-%a.log \\
  -c log_rotation_age=1d -c log_truncate_on_rotation=on
"""

#: A fast shutdown: open transactions are rolled back, and no client is waited for.
STOP = "#!/bin/sh\nkill -INT $(cat supervise/pid)\n"


class Machine:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.wanted: dict[str, Any] = module.params
        self.done: list[str] = []

    def carry_out(self) -> None:
        disk = self.disk()
        self.write(SERVICE / "down", "", 0o644, unless=SERVICE / "run")
        self.mount(disk)
        self.make_data()
        certificate = [
            self.write(HOME / "tls.crt", self.wanted["server_certificate"], 0o644),
            self.write(HOME / "tls.key", self.wanted["server_key"], 0o600),
            self.write(HOME / "pg_hba.conf", HBA, 0o644),
        ]
        self.write(SERVICE / "control" / "t", STOP, 0o755)
        restarts = self.write(SERVICE / "run", self.run_script(), 0o755)
        self.supervise(restarts=restarts, reloads=any(certificate))

    def disk(self) -> Path:
        """The data volume; an attachment may still be on its way into the guest."""
        serial = self.wanted["volume_id"][:SERIAL_LENGTH]
        deadline = time.monotonic() + 30
        while True:
            for file in Path("/sys/block").glob("vd*/serial"):
                if file.read_text().strip() == serial:
                    return Path("/dev") / file.parent.name
            if time.monotonic() > deadline:
                self.fail(f"no disk with the serial number {serial} is attached")
            time.sleep(0.2)

    def mount(self, disk: Path) -> None:
        if f" {MOUNT} " in Path("/proc/mounts").read_text():
            return
        with disk.open("rb") as device:
            head = device.read(64 * 1024)
        magic = struct.unpack_from("<H", head, SUPERBLOCK + MAGIC_AT)[0]
        if magic != MAGIC:
            if head.strip(b"\0"):
                self.fail(f"{disk} holds something else than ext4; it is not formatted")
            self.command("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "egov-data", disk)
            self.done.append("volume formatted")
        MOUNT.mkdir(exist_ok=True)
        self.command("mount", "-t", "ext4", "-o", "noatime", disk, MOUNT)
        self.done.append("volume mounted")

    def make_data(self) -> None:
        """The data folder, whole or not at all."""
        HOME.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(HOME, USER, USER)
        if DATA.exists():
            return
        draft = DATA.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        password = Path("/run/admin-password")
        password.write_text(self.wanted["admin_password"])
        shutil.chown(password, USER, USER)
        password.chmod(0o600)
        try:
            self.command(
                *("chpst", "-u", USER, PROGRAMS / "initdb", "--pgdata", draft, "--username", USER),
                *("--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8", "--data-checksums", "--no-sync"),
            )
        finally:
            password.unlink()
        os.sync()
        draft.rename(DATA)
        self.done.append("data folder made")

    def run_script(self) -> str:
        return RUN.format(
            serial=self.wanted["volume_id"][:SERIAL_LENGTH],
            mount=MOUNT,
            home=HOME,
            data=DATA,
            user=USER,
            programs=PROGRAMS,
            port=self.wanted["port"],
            max_connections=self.wanted["max_connections"],
        )

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
        if path.is_relative_to(HOME):
            shutil.chown(draft, USER, USER)
        draft.rename(path)
        self.done.append(f"{path.name} written")
        return True

    def supervise(self, *, restarts: bool, reloads: bool) -> None:
        """Running, as its files say; `runsvdir` looks for new services every five seconds."""
        deadline = time.monotonic() + self.wanted["timeout_s"]
        while not (SERVICE / "supervise" / "ok").exists():
            if time.monotonic() > deadline:
                self.fail("runit does not look after the server")
            time.sleep(0.2)
        (SERVICE / "down").unlink(missing_ok=True)
        is_up = self.answers()
        if not is_up:
            self.command("sv", "up", SERVICE)
            self.done.append("server started")
        elif restarts:
            self.command("sv", "-w", "60", "restart", SERVICE)
        elif reloads:
            self.command("sv", "hup", SERVICE)
        while not self.answers():
            if time.monotonic() > deadline:
                self.fail(f"the server does not answer: {self.last_words()}")
            time.sleep(0.2)

    def answers(self) -> bool:
        """Whether it takes connections: its own lock file says so on its last line."""
        try:
            lines = (DATA / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        return Path("/proc", lines[0].strip()).exists()

    def last_words(self) -> str:
        logs = sorted((HOME / "log").glob("*.log"), key=lambda p: p.stat().st_mtime)
        return logs[-1].read_text()[-500:] if logs else "it wrote no log"

    def command(self, *words: Any) -> None:
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode:
            self.fail(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")

    def fail(self, sentence: str) -> None:
        self.module.fail_json(msg=sentence, done=self.done)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "volume_id": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "admin_password": {"type": "str", "required": True, "no_log": True},
            "max_connections": {"type": "int", "required": True},
            "server_key": {"type": "str", "required": True, "no_log": True},
            "server_certificate": {"type": "str", "required": True},
            "timeout_s": {"type": "int", "default": 120},
        }
    )
    machine = Machine(module)
    machine.carry_out()
    module.exit_json(changed=bool(machine.done), done=machine.done)


if __name__ == "__main__":
    main()
