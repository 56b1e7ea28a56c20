"""Where each shared server is and how its administrator gets in: for plays, as an inventory.

In production the same variables stand in `inventory/` for real hosts, and plays know no difference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import ports
from lab.services import lifecycle, rabbitmq, shared
from lab.services.engine import ADMIN, Engine, Server
from lab.settings import Settings

GROUP = "shared_services"


@dataclass(frozen=True)
class Endpoint:
    """One engine's shared server. Every port speaks TLS, with a certificate of `ca_file`.

    `management_port` is that of RabbitMQ's HTTP API, None elsewhere. `tools` is the folder of the
    engine's client programs on the control plane's own host.
    """

    engine: str
    address: str
    port: int
    management_port: int | None
    ca_file: str
    admin_user: str
    admin_password_file: str
    tools: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def endpoints(settings: Settings) -> list[Endpoint]:
    """Of every shared server that was started once in this checkout, running or not."""
    return [
        _endpoint(engine, server, settings)
        for engine in shared.ENGINES
        if (server := lifecycle.existing(engine, settings)) is not None
    ]


def client_programs(settings: Settings) -> dict[str, str]:
    """Folders of client programs on the control plane's own host, by engine."""
    return {each.engine: each.tools for each in endpoints(settings)}


def inventory(found: list[Endpoint]) -> dict[str, Any]:
    """An Ansible inventory: the group `shared_services`, one host for each engine.

    Clients on the control plane's host reach the server by `service_address`, so plays run there.
    """
    hosts = {
        f"shared_{endpoint.engine}": {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            **{
                f"service_{name}": value
                for name, value in endpoint.as_json().items()
                if value is not None
            },
        }
        for endpoint in found
    }
    return {"all": {"children": {GROUP: {"hosts": hosts}}}}


def inventory_file(settings: Settings) -> Path:
    """Where `write_inventory` puts it."""
    return lifecycle.services_folder(settings) / "inventory.yml"


def write_inventory(settings: Settings) -> Path:
    """Keeps the inventory of the servers as a file for the control plane; it holds no password."""
    file = inventory_file(settings)
    if not file.parent.exists():  # nothing was ever started
        return file
    content = yaml.safe_dump(inventory(endpoints(settings)), sort_keys=False)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(content, encoding="utf-8")
    fresh.rename(file)
    return file


def _endpoint(engine: Engine, server: Server, settings: Settings) -> Endpoint:
    return Endpoint(
        engine=engine.name,
        address=ports.LOOPBACK,
        port=server.port,
        management_port=server.ports.get(rabbitmq.MANAGEMENT),
        ca_file=str(lifecycle.authority_folder(settings) / "ca.crt"),
        admin_user=ADMIN,
        admin_password_file=str(server.password_file),
        tools=str(server.programs.tools),
    )
