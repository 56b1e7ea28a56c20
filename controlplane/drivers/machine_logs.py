"""Servers on machines of departments' own, whose log is archived: reached over the network by what
the control plane knows of them. The role `machine_server` makes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from controlplane.access import OwnServer
from controlplane.drivers.machine_disks import MachineDisks
from controlplane.drivers.server_logs import ADMINISTRATORS, LOGS
from controlplane.engines import MACHINE


class MachineLogs(MachineDisks):
    """`tools`: by service, the folder of the programs that archive its log, of the version of its
    golden image; `ca_file` verifies the servers."""

    def __init__(self, tools: Mapping[str, Path], ca_file: Path) -> None:
        self._tools, self._ca_file = tools, ca_file

    def logs(self, own: Collection[OwnServer]) -> dict[str, Callable[[str, str], Any]]:
        """Of those of `own` that stand on machines, by resource id."""
        return {
            each.resource_id: partial(LOGS[each.service], self._host(each))
            for each in own
            if each.engine == MACHINE and each.service in self._tools
        }

    def _host(self, server: OwnServer) -> dict[str, Any]:
        return {
            "service_address": server.address,
            "service_port": server.port,
            "service_ca_file": str(self._ca_file),
            "service_admin_user": ADMINISTRATORS[server.service],
            "service_admin_password": server.admin_password,
            "service_tools": str(self._tools[server.service]),
        }
