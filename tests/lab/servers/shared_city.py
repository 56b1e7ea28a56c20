"""A control plane whose only cloud are the lab's shared servers, and the people who order there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import yaml

from controlplane.pipeline import Ask
from tests.integration.live_city import LiveCity, run_control_plane


class SharedCity(LiveCity):
    """Its departments need nothing of OpenStack."""

    def assert_nothing_is_left(self) -> None:
        self.assert_nothing_is_held()


def make_shared_city(folder: Path, inventory: Path, **changes: Any) -> SharedCity:
    """A control plane over its own database, its worker running; `changes` go into its settings."""
    changes = {"shared_inventory": inventory, **changes}
    control_plane, clock, worker, ticks = run_control_plane(folder, "s", {}, changes)
    no_openstack: Any = None
    return SharedCity(control_plane, clock, no_openstack, {}, "s", worker, ticks)


# --- its PostgreSQL ---


def server_of(inventory: Path) -> Mapping[str, Any]:
    groups = yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["children"]
    found: Mapping[str, Any] = groups["shared_services"]["hosts"]["shared_postgresql"]
    return found


def left_on(inventory: Path) -> list[str]:
    """Databases and roles of departments on the server."""
    server = server_of(inventory)
    with psycopg.connect(
        host=server["service_address"],
        port=server["service_port"],
        user=server["service_admin_user"],
        password=Path(server["service_admin_password_file"]).read_text().strip(),
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=server["service_ca_file"],
    ) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'dibao%' "
            "UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'dibao%'"
        )
        return [str(row[0]) for row in rows]


def order(city: SharedCity, login: str = "limin", service: str = "postgresql", **form: Any) -> int:
    asked = Ask(
        service,
        "provision",
        "internet",
        {"system_name": "低保核对数据库", "plan": "small", "database_name": "dibao", **form},
    )
    request_id = city.control_plane.pipeline.submit_request(city.person(login), asked)
    city.decide("zhangjing", request_id)
    city.worker.wake()
    return request_id


def uri(city: SharedCity, folder: Path, resource_id: str, login: str = "limin") -> str:
    """The connection string as the department sees it, its CA put into a file."""
    return with_ca(shown(city, resource_id, login), folder)


def shown(city: SharedCity, resource_id: str, login: str = "limin") -> dict[str, str]:
    """Ways to connect, by their code, as the department sees them."""
    connection = city.control_plane.connections.show(city.person(login), resource_id, "核对")
    return {snippet.code: text for snippet, text in connection.snippets}


def with_ca(texts: Mapping[str, str], folder: Path) -> str:
    ca = folder / "ca.pem"
    ca.write_text(texts["ca"])
    return texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")


def ask(address: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(address, connect_timeout=5) as connection:
        answer = connection.execute(query)  # type: ignore[call-overload]
        return list(answer.fetchall()) if answer.description else []
