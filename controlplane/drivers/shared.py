"""The platform's shared servers (databases, cache, broker), as an Ansible inventory names them.

Plays reach them with their own modules; this driver only knows whether they answer at all.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controlplane.errors import CloudRefused, CloudUnavailable

CONNECT_TIMEOUT_SECONDS = 5


class SharedServices:
    """`inventory`: a static YAML inventory; each host has `service_address` and `service_port`."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory

    def run_clouds(self, project: str) -> dict[str, Any]:  # noqa: ARG002 - no cloud, no project
        return {}

    def run_inventory(self) -> Path | None:
        return self.inventory

    def check(self) -> None:
        """Errors: CloudUnavailable, naming the first server that takes no connection."""
        for name, host in self._hosts().items():
            address = (str(host["service_address"]), int(host["service_port"]))
            try:
                socket.create_connection(address, CONNECT_TIMEOUT_SECONDS).close()
            except OSError as error:
                raise CloudUnavailable(reason=f"{name} at {address[0]}: {error}") from error

    def prove_machine(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError("no machine of its own stands behind a shared service")

    def _hosts(self) -> dict[str, Mapping[str, Any]]:
        try:
            groups = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise CloudUnavailable(reason=f"{self.inventory.name}: {error}") from error
        found: dict[str, Mapping[str, Any]] = {}
        _collect(groups, found)
        if not found:
            raise CloudRefused(reason=f"{self.inventory.name} names no host with a service_address")
        return found


def _collect(groups: Mapping[str, Any], found: dict[str, Mapping[str, Any]]) -> None:
    for group in groups.values():
        hosts = (group or {}).get("hosts") or {}
        found.update({n: h for n, h in hosts.items() if h and "service_address" in h})
        _collect((group or {}).get("children") or {}, found)
