"""Whether the node ports of a Service take connections from here."""

from __future__ import annotations

import socket
import time

from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import FailedError, Namespace

POLL_S = 0.2
CONNECT_TIMEOUT_S = 2


class UnreachableError(FailedError):
    """The text names the port that nobody answers on."""


def node_ports_of(namespace: Namespace, name: str) -> dict[str, int]:
    """By the names that the Service gives them; nothing where there is none."""
    service = namespace.find("Service", name)
    return {p["name"]: p["nodePort"] for p in service["spec"]["ports"]} if service else {}


def wait_for_ports(address: str, ports: dict[str, int], timeout_s: float) -> None:
    """Raises UnreachableError."""
    deadline = time.monotonic() + timeout_s
    for port in ports.values():
        while not _answers(address, port):
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{address}:{port} 无应答 · nobody answers at {address}:{port}"
                )
            time.sleep(POLL_S)


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
