"""A server that is away: why nothing could be done is told in words, and no secret with it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controlplane.certificates.authority import Authority
from controlplane.clock import utc_now
from tests.lab.servers.shared_roles import ODD_PASSWORD, Instance, plan_of

pytestmark = pytest.mark.any_database

NAMES = {
    "postgresql": "database_name",
    "mariadb": "database_name",
    "redis": "key_prefix",
    "rabbitmq": "vhost_name",
}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Nobody listens on it, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(params=NAMES)
def away(request: pytest.FixtureRequest, tmp_path: Path, closed_port: int) -> Instance:
    """An instance on a shared server that does not run."""
    service = request.param
    (tmp_path / "password").write_text("of-the-administrator")
    authority = Authority(tmp_path / "authority", "http://pki")
    authority.create("Sample City", utc_now())
    (tmp_path / "ca.pem").write_text(authority.root_pem)
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "service_address": "127.0.0.1",
        "service_port": closed_port,
        "service_management_port": closed_port,
        "service_admin_user": "administrator",
        "service_admin_password_file": str(tmp_path / "password"),
        "service_ca_file": str(tmp_path / "ca.pem"),
    }
    servers = {"hosts": {f"shared_{service}": host}}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"children": {"shared_services": servers}}}))
    spec = {NAMES[service]: "dibao", "plan": plan_of(service, "small")}
    return Instance(service, inventory, tmp_path, spec, ODD_PASSWORD)


def test_a_password_cannot_be_changed_and_it_says_why(away: Instance) -> None:
    said = away.fails("rotate_password", {})
    last = said.rsplit("fatal: ", 1)[-1]
    assert "hidden" not in last
    assert "refused" in last
