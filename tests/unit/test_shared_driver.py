"""Which of the platform's shared servers a failed run is put down to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controlplane.drivers.shared import SharedServices
from controlplane.errors import CloudUnavailable


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[SharedServices]:
    """A MariaDB that takes connections, beside a PostgreSQL that takes none."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        hosts = {
            name: {"service_address": "127.0.0.1", "service_port": each.getsockname()[1]}
            for name, each in (("shared_postgresql", away), ("shared_mariadb", there))
        }
        inventory = tmp_path / "inventory.yml"
        group = {"shared_services": {"hosts": hosts}}
        inventory.write_text(yaml.safe_dump({"all": {"children": group}}))
        yield SharedServices(inventory)


def test_only_the_server_of_the_service_is_asked(servers: SharedServices) -> None:
    servers.check("mariadb")
    with pytest.raises(CloudUnavailable, match="shared_postgresql at"):
        servers.check("postgresql")


def test_what_has_no_server_of_its_own_needs_all_of_them(servers: SharedServices) -> None:
    with pytest.raises(CloudUnavailable, match="shared_postgresql at"):
        servers.check("platform")
