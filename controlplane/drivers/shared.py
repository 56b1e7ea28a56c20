"""The platform's shared servers (databases, cache, broker), as an Ansible inventory names them.

Plays reach them with their own modules; this driver only knows whether they answer at all.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.access import Access
from controlplane.drivers.inventory import hosts_of
from controlplane.errors import CloudRefused, CloudUnavailable

CONNECT_TIMEOUT_SECONDS = 5


class SharedServices:
    """`inventory`: a static YAML inventory; each host has `service_address` and `service_port`."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def run_access(self, project: str) -> Access:  # noqa: ARG002 - no cloud, no project
        return Access(inventory=self.inventory)

    def check(self) -> None:
        """Errors: CloudUnavailable, naming the first server that takes no connection."""
        for name, host in self._servers().items():
            address = (str(host["service_address"]), int(host["service_port"]))
            try:
                socket.create_connection(address, CONNECT_TIMEOUT_SECONDS).close()
            except OSError as error:
                raise CloudUnavailable(reason=f"{name} at {address[0]}: {error}") from error

    def _servers(self) -> dict[str, Mapping[str, Any]]:
        found = {n: h for n, h in hosts_of(self.inventory).items() if "service_address" in h}
        if not found:
            raise CloudRefused(reason=f"{self.inventory.name} names no host with a service_address")
        return found
