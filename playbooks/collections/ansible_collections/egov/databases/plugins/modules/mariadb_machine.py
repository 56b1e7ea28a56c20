#!/usr/bin/python
"""MariaDB on a machine of its own, made of what its golden image holds; runs on the machine."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.databases.plugins.module_utils import binary_log, machines

DOCUMENTATION = r"""
---
module: mariadb_machine
short_description: MariaDB on a machine of its own
description:
  - The data volume is formatted where it is blank, mounted, and grown with its disk. A volume that holds anything is never formatted.
  - The server speaks TLS only; C(runit) keeps it running, also after the machine starts again.
  - A second run changes nothing and cuts no connection. Another certificate is read when the server is told C(FLUSH SSL).
options:
  volume_id:
    description: The cloud's id of the data volume, which the disk shows as its serial number.
    type: str
    required: true
  port:
    description: Where it listens.
    type: int
    default: 3306
  admin_user:
    description: The administrator, and at first the only account.
    type: str
    required: true
  admin_password:
    description: Of the administrator, set when the data folder is made.
    type: str
    required: true
  max_connections:
    description: Connections, the platform's own few included.
    type: int
    required: true
  log_gib:
    description: What its binary log may take of the system disk; 0 for no log.
    type: int
    default: 0
  settings:
    description: An option file that the configuration includes, read at the next start; another one starts nothing again.
    type: str
    default: ""
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
- name: MariaDB on its machine
  egov.databases.mariadb_machine:
    volume_id: 5c0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    admin_user: egov_admin
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

PROGRAM = Path("/usr/sbin/mariadbd")
SHARE = Path("/usr/share/mysql")
RUN = Path("/run/mariadb")
#: Not on the volume: a full one shall refuse what it has no room for, which a log on it cannot.
LOG = Path("/var/lib/mariadb-log")
SOCKET = RUN / "mariadb.sock"
#: With which every MariaDB greets whoever connects.
PROTOCOL_VERSION = 10

CONFIGURATION = """[mariadbd]
datadir = {home}/data
# On the volume, where there is room, and its own: what lies in it is removed at each start.
tmpdir = {home}/tmp
socket = {socket}
pid-file = {run}/mariadb.pid
bind-address = 0.0.0.0
port = {port}
skip-name-resolve
ssl-cert = {home}/tls.crt
ssl-key = {home}/tls.key
tls-version = TLSv1.2,TLSv1.3
require-secure-transport = ON
character-set-server = utf8mb4
collation-server = utf8mb4_unicode_ci
default-time-zone = "+00:00"
max-connections = {max_connections}
performance-schema = OFF
local-infile = OFF
# What clients do wrong is not noted: nobody turns this log over but a start.
log-warnings = 1
{log}# What its department has set. It comes last, so that it holds.
!include {home}/settings.cnf
"""

START = """# Half of the memory: the rest is for connections and what the engine keeps beside the pool.
pool=$((memory_kib / 2048))
mkdir -p {run} && chown {user} {run}
log={home}/error.log
[ ! -f $log ] || [ "$(wc -c < $log)" -lt 16777216 ] || mv $log $log.1
ulimit -n 65536
cd {home} && exec chpst -u {user} {program} --defaults-file={home}/my.cnf \\
  --log-error=$log --innodb-buffer-pool-size="${{pool}}M"
"""

#: What makes the system tables, in this order, as Debian's own script does.
SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)
BEFORE_SYSTEM_TABLES = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"

#: The accounts of the installation, which have no password, give way to one that has one.
ACCOUNTS = """DELETE FROM mysql.global_priv WHERE User IN ('root', '');
DELETE FROM mysql.proxies_priv;
FLUSH PRIVILEGES;
CREATE USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL;
GRANT ALL PRIVILEGES ON *.* TO '{user}'@'%' WITH GRANT OPTION;
"""


class MariaDB(machines.Machine):
    name = "mariadb"
    user = "mysql"

    def write_files(self) -> bool:
        temporary = self.home / "tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(temporary, self.user, self.user)
        log_gib, bound = self.wanted["log_gib"], self.home / "log-bound.sql"
        configuration = CONFIGURATION.format(
            home=self.home,
            socket=SOCKET,
            run=RUN,
            port=self.wanted["port"],
            max_connections=self.wanted["max_connections"],
            log=binary_log.options(str(LOG), log_gib, str(bound)) if log_gib else "",
        )
        if log_gib:
            self.make_log_folder(log_gib)
            self.write(bound, binary_log.bound_of(self.wanted["admin_user"]), 0o644)
        # Before what includes it. A server that runs has been told what is new in it, or is now.
        self.write(self.home / "settings.cnf", self.wanted["settings"], 0o644)
        self.write_certificate()
        return self.write(self.home / "my.cnf", configuration, 0o644)

    def make_log_folder(self, log_gib: int) -> None:
        if not LOG.exists():
            needed, free = binary_log.longest_bytes(log_gib), shutil.disk_usage(LOG.parent).free
            if free < needed:
                self.fail(
                    f"the system disk has {free >> 20} MiB free; the binary log may take {needed >> 20} MiB"
                )
        LOG.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(LOG, self.user, self.user)

    def fill(self, draft: Path) -> None:
        tables = [(SHARE / name).read_text(encoding="utf-8") for name in SYSTEM_TABLES]
        accounts = ACCOUNTS.format(
            user=self.wanted["admin_user"], password=quoted(self.wanted["admin_password"])
        )
        self.as_user(
            *(PROGRAM, f"--defaults-file={self.home / 'my.cnf'}", f"--datadir={draft}"),
            *("--bootstrap", "--enforce-storage-engine=", "--log-warnings=0"),
            text="".join([BEFORE_SYSTEM_TABLES, *tables, accounts]),
        )

    def start_script(self) -> str:
        return START.format(home=self.home, user=self.user, run=RUN, program=PROGRAM)

    def answers(self) -> bool:
        """It greets on its own socket; while it starts or ends, it does not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            try:
                connection.connect(str(SOCKET))
                greeting = connection.recv(5)
            except OSError:
                return False
        return greeting[4:] == bytes([PROTOCOL_VERSION])

    def take_in(self) -> None:
        """It reads its settings when it starts."""
        self.restart()

    def last_words(self) -> str:
        log = self.home / "error.log"
        return log.read_text(errors="replace")[-500:] if log.exists() else "it wrote no log"


def quoted(text: str) -> str:
    """As it stands between the quotes of a literal of SQL."""
    return text.replace("\\", "\\\\").replace("'", "''")


def main() -> None:
    options: dict[str, Any] = {
        **machines.OPTIONS,
        "port": {"type": "int", "default": 3306},
        "admin_user": {"type": "str", "required": True},
        "log_gib": {"type": "int", "default": 0},
        "settings": {"type": "str", "default": ""},
    }
    module = AnsibleModule(argument_spec=options)
    server = MariaDB(module)
    server.carry_out()
    module.exit_json(changed=bool(server.done), done=server.done)


if __name__ == "__main__":
    main()
