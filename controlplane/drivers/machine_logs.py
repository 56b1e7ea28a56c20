"""PostgreSQL servers on machines of departments' own, whose log is archived: reached over the
network by what the control plane knows of them. The module `postgresql_machine` makes them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from controlplane.access import OwnServer
from controlplane.drivers.machine_disks import MachineDisks
from controlplane.drivers.postgresql_log import PostgreSQLLog
from controlplane.engines import MACHINE

ADMINISTRATOR = "postgres"


class MachineLogs(MachineDisks):
    """`tools`: `pg_receivewal`, `pg_basebackup` of the version of the golden image; `ca_file`
    verifies the servers."""

    def __init__(self, tools: Path, ca_file: Path) -> None:
        self._tools, self._ca_file = tools, ca_file

    def logs(self, own: Collection[OwnServer]) -> dict[str, Callable[[str, str], PostgreSQLLog]]:
        """Of those of `own` that stand on machines, by resource id."""
        return {each.resource_id: self._of(each) for each in own if each.engine == MACHINE}

    def _of(self, server: OwnServer) -> Callable[[str, str], PostgreSQLLog]:
        host = {
            "service_address": server.address,
            "service_port": server.port,
            "service_ca_file": str(self._ca_file),
            "service_admin_user": ADMINISTRATOR,
            "service_admin_password": server.admin_password,
            "service_tools": str(self._tools),
        }
        return partial(PostgreSQLLog, host)
