"""Machines that come with what runs on them: faults of a declaration, and the way in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from controlplane.access import Access, Login, with_machine
from controlplane.catalogue.loader import load_catalogue
from controlplane.config import CHECKOUT
from controlplane.errors import DeclarationInvalid

SERVICES = CHECKOUT / "playbooks" / "services"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The services with plans on a machine, and what their machine is ordered by."""
    for name in ("postgresql", "mariadb", "vm"):
        shutil.copytree(SERVICES / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("engine", "title"), [("postgresql", "PostgreSQL"), ("mariadb", "MariaDB")]
)
def test_the_form_of_a_machine_follows_from_the_plan(
    services: Path, engine: str, title: str
) -> None:
    catalogue = load_catalogue(services)
    service = catalogue[engine]
    spec = service.spec_of({"system_name": "核对", "plan": "machine_standard"})
    form = service.machine_form_of(spec)
    assert form is not None
    assert (form["system_name"], form["plan"]) == (f"核对 {title}", "standard")
    assert form["data_volumes"] == [{"size_gib": 100, "type": "standard"}]
    machine = catalogue["vm"]
    assert machine.capacity_of(machine.spec_of(form)) == service.capacity_of(spec)
    assert service.machine_form_of(service.spec_of({"plan": "small"})) is None
    assert service.usually_takes(spec) > service.usually_takes({})


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("service: vm", "service: bare-metal", "need a `machine` of a service that is there"),
        ("system_disk_gib: 10", "system_disk_gib: 5", "machine.system_disk_gib: field_too_small"),
        ("data_gib: 20", "data_gib: 40", "plan machine_small does not hold what its machine takes"),
        ("machine_plan: small", "machine_plan: tiny", "plan machine_small, machine.plan"),
        ("{{ plan.machine_plan }}", "{{ plan.size }}", "plan machine_small, machine: "),
    ],
)
def test_a_machine_that_would_not_be_delivered_is_a_fault_of_the_declaration(
    services: Path, before: str, after: str, says: str
) -> None:
    file = services / "postgresql" / "service.yml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(DeclarationInvalid) as refused:
        load_catalogue(services)
    assert any(says in problem for problem in refused.value.problems), refused.value.problems
    assert all(p.startswith("postgresql/service.yml") for p in refused.value.problems)


def test_a_run_accepts_the_one_host_key_and_writes_its_secrets_apart() -> None:
    cloud = Access({"clouds.yaml": {}}, {"OS_CLIENT_CONFIG_FILE": "clouds.yaml"})
    login = Login("172.30.77.20", "root", "ssh-ed25519 AAAA", PRIVATE, "the root")
    access = with_machine(cloud, login)
    assert access.variables == cloud.variables
    assert access.texts == {
        "machine_key": PRIVATE,
        "ca.pem": "the root",
        "known_hosts": "172.30.77.20 ssh-ed25519 AAAA\n",
    }
    inventory = access.files["machines.yml"]
    assert access.inventory == Path("machines.yml")
    assert PRIVATE not in json.dumps(inventory)
    machine = inventory["by_ssh"]["hosts"]["machine"]
    assert "StrictHostKeyChecking=yes" in machine["ansible_ssh_common_args"]
    assert "known_hosts" in machine["ansible_ssh_common_args"]
    database = inventory["machines"]["hosts"]["database"]
    assert database["ansible_connection"] == "local"
