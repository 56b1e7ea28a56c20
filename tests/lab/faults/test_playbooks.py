"""The playbooks as a platform engineer runs them by hand, again and again, and cut short."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from openstack.connection import Connection

from controlplane.config import CHECKOUT
from controlplane.drivers.openstack import OpenStackCloud
from tests.integration.live_city import IMAGE, SSH_KEY, connect, objects_tagged, wait_for

# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SMALL = {"code": "small", "vcpu": 1, "memory_mib": 2048}
LARGE = {"code": "large", "vcpu": 4, "memory_mib": 16384}


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended."""

    code: int
    changed: int
    text: str


@dataclass
class Department:
    """A department of this run, its playbooks run by hand."""

    folder: Path
    project: str
    tenant: Connection

    def start(self, playbook: str, **values: Any) -> subprocess.Popen[str]:
        """The playbook in a process group of its own."""
        variables = self.folder / f"{uuid.uuid4().hex}.json"
        variables.write_text(json.dumps({"controlplane": {**self._values(), **values}}))
        return subprocess.Popen(
            [ANSIBLE_PLAYBOOK, f"playbooks/{playbook}", "-e", f"@{variables}"],
            cwd=CHECKOUT,
            env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.folder / "clouds.yaml")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, playbook: str, **values: Any) -> Outcome:
        process = self.start(playbook, **values)
        text, _ = process.communicate(timeout=120)
        changed = re.search(r"changed=(\d+)", text)
        return Outcome(process.returncode, int(changed[1]) if changed else -1, text)

    def done(self, playbook: str, **values: Any) -> int:
        """How many tasks changed something in a run that must end well."""
        outcome = self.run(playbook, **values)
        assert outcome.code == 0, outcome.text
        return outcome.changed

    def servers(self, resource_id: str) -> list[Any]:
        return [
            server
            for server in self.tenant.compute.servers()
            if server.metadata["egov_resource_id"] == resource_id
        ]

    def floating_addresses(self, server_id: str) -> list[str]:
        """As Neutron knows them: what Nova shows of them is a copy that may be a minute old."""
        return [
            address.floating_ip_address
            for port in self.tenant.network.ports(device_id=server_id)
            for address in self.tenant.network.ips(port_id=port.id)
        ]

    def status(self, resource_id: str) -> str:
        """The server's status; empty where there is none yet."""
        return "".join(server.status for server in self.servers(resource_id))

    def _values(self) -> dict[str, Any]:
        return {
            "action": "provision",
            "job_number": "J-20261124-0001",
            "request_number": "SQ-2026-000001",
            "resource_name": "低保核对系统 “一期” 🏛",
            "cloud": "department",
            "admin_cloud": "admin",
            "availability_zone": "internet-a",
            "zone": "internet",
            "department": {
                "code": "playbooks",
                "name": "市民政局",
                "project": self.project,
                "network": self.project,
                "security_group": self.project,
            },
            "quota": {"vcpu": 40, "memory_mib": 163840, "storage_gib.standard": 500},
        }


@pytest.fixture(scope="module")
def department(
    tmp_path_factory: pytest.TempPathFactory, cloud_entry: Mapping[str, Any], run_suffix: str
) -> Iterator[Department]:
    """A department that `ops/onboard.yml` has set up."""
    folder = tmp_path_factory.mktemp("playbooks")
    project = f"egov-playbooks-{run_suffix}-internet"
    access = OpenStackCloud("lab", cloud_entry).run_access(project)
    (folder / "clouds.yaml").write_text(yaml.safe_dump(dict(access.files["clouds.yaml"])))
    tenant = connect(cloud_entry, project_name=project)
    made = Department(folder, project, tenant)
    assert made.done("ops/onboard.yml") > 0
    yield made
    tenant.close()


@pytest.fixture
def resource_id(department: Department, admin: Connection) -> Iterator[str]:
    """A new resource; after the test it is retired, twice, and nothing of it is left."""
    made = str(uuid.uuid4())
    yield made
    department.done("services/vm/retire.yml", resource_id=made, spec=spec())
    assert department.done("services/vm/retire.yml", resource_id=made, spec=spec()) == 0
    assert objects_tagged(admin, [made]) == []


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "plan": SMALL,
        "image": IMAGE,
        "system_disk_gib": 10,
        "ssh_public_key": SSH_KEY,
        "floating_address": True,
        "data_volumes": [{"size_gib": 2, "type": "ssd"}],
        **changes,
    }


def end_when(
    run: subprocess.Popen[str], department: Department, resource_id: str, *states: str
) -> None:
    """Kills the whole run, as a power cut would, once the server is in one of `states`."""
    wait_for(
        lambda: (department.status(resource_id) in states) or run.poll() is not None or None,
        " or ".join(states),
    )
    assert run.poll() is None, "the run ended before it could be cut short"
    # Ansible's workers have sessions of their own: what they have begun would go on.
    whole = psutil.Process(run.pid)
    for process in (whole, *whole.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    run.wait(timeout=10)
    assert run.stdout is not None
    run.stdout.close()


def test_a_department_set_up_again_is_left_alone(department: Department) -> None:
    assert department.done("ops/onboard.yml") == 0
    assert department.done("ops/sync_quota.yml") == 0


def test_an_order_carried_out_again_makes_nothing_twice(
    department: Department, resource_id: str
) -> None:
    assert department.done("services/vm/provision.yml", resource_id=resource_id, spec=spec()) == 1
    (first,) = department.servers(resource_id)
    assert department.done("services/vm/provision.yml", resource_id=resource_id, spec=spec()) == 0
    (second,) = department.servers(resource_id)
    assert (first.id, second.status) == (second.id, "ACTIVE")


def test_an_order_cut_short_is_finished_by_the_next_run(
    department: Department, resource_id: str
) -> None:
    run = department.start("services/vm/provision.yml", resource_id=resource_id, spec=spec())
    end_when(run, department, resource_id, "BUILD", "ACTIVE")
    department.done("services/vm/provision.yml", resource_id=resource_id, spec=spec())
    (server,) = department.servers(resource_id)
    assert server.status == "ACTIVE"
    assert len(server.attached_volumes) == 1
    assert len(department.floating_addresses(server.id)) == 1


def test_a_resize_cut_short_is_finished_by_the_next_run(
    department: Department, resource_id: str
) -> None:
    department.done("services/vm/provision.yml", resource_id=resource_id, spec=spec())
    wanted = {"resource_id": resource_id, "action": "change", "spec": spec(plan=LARGE)}
    run = department.start("services/vm/change.yml", **wanted)
    end_when(run, department, resource_id, "RESIZE", "VERIFY_RESIZE")
    department.done("services/vm/change.yml", **wanted)
    (server,) = department.servers(resource_id)
    assert (server.status, server.flavor.vcpus) == ("ACTIVE", 4)


def test_a_change_never_destroys_data_unless_it_undoes_its_own(
    department: Department, resource_id: str
) -> None:
    two = spec(data_volumes=[{"size_gib": 2, "type": "ssd"}, {"size_gib": 1, "type": "standard"}])
    department.done("services/vm/provision.yml", resource_id=resource_id, spec=two)
    wanted = {"resource_id": resource_id, "action": "change", "spec": spec()}
    refused = department.run("services/vm/change.yml", **wanted)
    assert refused.code != 0
    assert "a change never destroys data" in refused.text
    assert len(department.servers(resource_id)[0].attached_volumes) == 2
    department.done("services/vm/change.yml", is_undoing=True, **wanted)
    assert len(department.servers(resource_id)[0].attached_volumes) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system_disk_gib": 5}, "it cannot shrink to 5 GiB"),
        ({"data_volumes": [{"size_gib": 1, "type": "ssd"}]}, "it cannot shrink to 1 GiB"),
    ],
)
def test_what_cannot_shrink_says_so(
    department: Department, resource_id: str, changes: dict[str, Any], said: str
) -> None:
    department.done("services/vm/provision.yml", resource_id=resource_id, spec=spec())
    outcome = department.run(
        "services/vm/change.yml", resource_id=resource_id, action="change", spec=spec(**changes)
    )
    assert outcome.code != 0
    assert said in outcome.text
    assert department.status(resource_id) == "ACTIVE"


def test_what_is_not_there_is_not_changed_but_a_readable_failure(department: Department) -> None:
    outcome = department.run(
        "services/vm/change.yml", resource_id=str(uuid.uuid4()), action="change", spec=spec()
    )
    assert outcome.code != 0
    assert "no server in this project carries resource id" in outcome.text
