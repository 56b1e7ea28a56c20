"""The platform's shared servers (databases, cache, broker), as an Ansible inventory names them.

Plays reach them with their own modules; this driver only knows whether they answer at all,
and reads what is asked every minute.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from controlplane.access import Access, OwnServer
from controlplane.drivers.inventory import hosts_of
from controlplane.drivers.server_logs import LOGS
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.readings import DiskReading, Measured

CONNECT_TIMEOUT_SECONDS = 5

POSTGRESQL = "postgresql"
#: A database that a restore or a drill makes for a while is none of a department's.
DATABASES = r"""
SELECT shobj_description(d.oid, 'pg_database'), pg_database_size(d.oid),
       EXISTS (
           SELECT FROM pg_db_role_setting s
           WHERE s.setdatabase = d.oid AND s.setrole = 0
             AND 'default_transaction_read_only=on' = ANY (s.setconfig)
       )
FROM pg_database d WHERE d.datname !~ '_(restoring|drill)$'
"""
TAG = re.compile(r"egov ([0-9a-f-]{32,36})\b")


class SharedServices:
    """`inventory`: a static YAML inventory; each host has `service_address` and `service_port`."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def run_access(self, project: str) -> Access:  # noqa: ARG002 - no cloud, no project
        return Access(inventory=self.inventory)

    def check(self, service: str = "") -> None:
        """Errors: CloudUnavailable, naming the first server that takes no connection; only that of
        `service` is asked, as its play asks none but that."""
        servers, own = self._servers(), f"shared_{service}"
        for name, host in ({own: servers[own]} if own in servers else servers).items():
            address = (str(host["service_address"]), int(host["service_port"]))
            try:
                socket.create_connection(address, CONNECT_TIMEOUT_SECONDS).close()
            except OSError as error:
                raise CloudUnavailable(reason=f"{name} at {address[0]}: {error}") from error

    def disk_readings(self, _resources: Sequence[Measured]) -> dict[str, DiskReading]:
        """What the data of each resource take on the PostgreSQL servers, which carry its id as
        their comment. Errors: CloudUnavailable."""
        found: dict[str, DiskReading] = {}
        for name, host in self._servers().items():
            if host.get("service_engine") == POSTGRESQL:
                try:
                    found |= _disk_readings(host)
                except (psycopg.Error, OSError) as error:
                    raise CloudUnavailable(reason=f"{name}: {str(error).strip()}") from error
        return found

    def logs(self, _own: Collection[OwnServer]) -> dict[str, Callable[[str, str], Any]]:
        """Of the servers that can be archived, by name. Errors: CloudUnavailable, CloudRefused."""
        return {
            name: partial(LOGS[host["service_engine"]], host)
            for name, host in self._servers().items()
            if host.get("service_engine") in LOGS
        }

    def server_of(self, service: str) -> Mapping[str, Any]:
        """The variables of the host of a service. Errors: CloudUnavailable, CloudRefused."""
        host = self._servers().get(f"shared_{service}")
        if host is None:
            raise CloudRefused(reason=f"{self.inventory.name} names no host shared_{service}")
        return {name: value for name, value in host.items() if name.startswith("service_")}

    def _servers(self) -> dict[str, Mapping[str, Any]]:
        found = {n: h for n, h in hosts_of(self.inventory).items() if "service_address" in h}
        if not found:
            raise CloudRefused(reason=f"{self.inventory.name} names no host with a service_address")
        return found


def _disk_readings(host: Mapping[str, Any]) -> dict[str, DiskReading]:
    """Errors: psycopg.Error, OSError (the password's file)."""
    with psycopg.connect(
        host=host["service_address"],
        port=int(host["service_port"]),
        dbname="postgres",
        user=host["service_admin_user"],
        password=Path(host["service_admin_password_file"]).read_text(encoding="utf-8").strip(),
        sslmode="verify-full",
        sslrootcert=host["service_ca_file"],
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name="egov disks",
    ) as connection:
        rows = connection.execute(DATABASES).fetchall()
    tags = [(TAG.match(comment or ""), used, read_only) for comment, used, read_only in rows]
    return {tag[1]: DiskReading(int(used), bool(closed)) for tag, used, closed in tags if tag}
