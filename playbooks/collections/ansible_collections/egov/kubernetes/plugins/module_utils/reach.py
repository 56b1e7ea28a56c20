"""Whether the node ports of a Service take connections from here."""

from __future__ import annotations

import socket
import time
from typing import Any

POLL_S = 0.2
CONNECT_TIMEOUT_S = 2


class UnreachableError(Exception):
    """The text names the port that nobody answers on."""


def node_ports_of(core: Any, name: str, namespace: str) -> dict[str, int]:
    """By the names that the Service gives them; nothing where there is none."""
    from kubernetes.client.exceptions import ApiException

    try:
        service = core.read_namespaced_service(name, namespace)
    except ApiException as error:
        if error.status != 404:
            raise
        return {}
    return {port.name: port.node_port for port in service.spec.ports}


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
