#!/usr/bin/python
"""PostgreSQL on a machine of its own, made of what its golden image holds; runs on the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.databases.plugins.module_utils import machines

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

PROGRAMS = Path("/usr/lib/postgresql/15/bin")

HBA = """# TLS only, for everybody; the machine's own postgres without a password.
local all postgres peer
hostssl all all all scram-sha-256
# The log is archived by the platform.
hostssl replication postgres all scram-sha-256
"""

START = """# A quarter of the memory, as PostgreSQL's own documentation advises for a server of its own.
buffers=$((memory_kib / 4096))
# A log archive that nobody comes for any more takes a tenth of the volume (its sectors have 512 bytes) and no more.
kept=$(($(cat "/sys/block/$disk/size") / 20480))
mkdir -p /run/postgresql && chown {user} /run/postgresql
cd {home} && exec chpst -u {user} {programs}/postgres -D {home}/data \\
  -c listen_addresses='*' -c port={port} -c unix_socket_directories=/run/postgresql \\
  -c hba_file={home}/pg_hba.conf -c ssl=on \\
  -c ssl_cert_file={home}/tls.crt -c ssl_key_file={home}/tls.key \\
  -c max_connections={max_connections} -c shared_buffers="${{buffers}}MB" -c jit=off \\
  -c max_slot_wal_keep_size="${{kept}}MB" \\
  -c logging_collector=on -c log_directory={home}/log -c log_filename=postgresql-%a.log \\
  -c log_rotation_age=1d -c log_truncate_on_rotation=on
"""

#: A fast shutdown: open transactions are rolled back, and no client is waited for.
STOP = "#!/bin/sh\nkill -INT $(cat supervise/pid)\n"


class PostgreSQL(machines.Machine):
    name = "postgresql"
    user = "postgres"

    def write_files(self) -> bool:
        self.write(self.service / "control" / "t", STOP, 0o755)
        written = [
            self.write_certificate(),
            self.write(self.home / "pg_hba.conf", HBA, 0o644),
        ]
        return any(written)

    def fill(self, draft: Path) -> None:
        password = self.handed_over("admin-password", self.wanted["admin_password"])
        try:
            self.as_user(
                *(PROGRAMS / "initdb", "--pgdata", draft, "--username", self.user),
                *("--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8", "--data-checksums", "--no-sync"),
            )
        finally:
            password.unlink()

    def start_script(self) -> str:
        return START.format(
            home=self.home,
            user=self.user,
            programs=PROGRAMS,
            port=self.wanted["port"],
            max_connections=self.wanted["max_connections"],
        )

    def answers(self) -> bool:
        """Its own lock file says so on its last line."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        return Path("/proc", lines[0].strip()).exists()

    def take_in(self) -> None:
        self.command("sv", "hup", self.service)

    def last_words(self) -> str:
        logs = sorted((self.home / "log").glob("*.log"), key=lambda p: p.stat().st_mtime)
        return logs[-1].read_text()[-500:] if logs else "it wrote no log"


def main() -> None:
    options: dict[str, Any] = {**machines.OPTIONS, "port": {"type": "int", "default": 5432}}
    module = AnsibleModule(argument_spec=options)
    server = PostgreSQL(module)
    server.carry_out()
    module.exit_json(changed=bool(server.done), done=server.done)


if __name__ == "__main__":
    main()
