"""The embedded OpenStack itself: it comes up, keeps its servers, and says what is wrong.

One cloud of its own for the whole file, with the data plane `none` and its state in a temporary
folder; the Python environment and the empty databases are shared with the checkout.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml
from openstack.connection import Connection

from lab import settings

CHECKOUT = Path(__file__).resolve().parents[3]
# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

START_LIMIT_S = 300  # a fresh checkout installs the services first


@dataclass(frozen=True)
class Lab:
    """One copy of the lab, driven by its command as a person would."""

    home: Path

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
        environment |= {"LAB_HOME": str(self.home), "LAB_DATA_PLANE": "none", **settings}
        return subprocess.run(
            [sys.executable, "-m", "lab.openstack", *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_LIMIT_S,
        )

    def start(self) -> float:
        """Seconds until it was ready."""
        started_s = time.monotonic()
        done = self.run("start")
        assert done.returncode == 0, done.stdout + done.stderr
        return time.monotonic() - started_s

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(s for s in self.status()["services"] if s["name"] == name)
        return found

    def connect(self) -> Connection:
        """As the administrator, by the lab's own clouds.yaml and nothing of the caller's."""
        file = Path(self.status()["clouds_yaml"]).read_text(encoding="utf-8")
        entry = yaml.safe_load(file)["clouds"]["lab"]
        return openstack.connect(
            auth=entry["auth"],
            region_name=entry["region_name"],
            load_yaml_config=False,
            load_envvars=False,
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.start()
        yield lab
    finally:
        lab.run("clean")


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> Connection:
    return lab.connect()


def test_every_service_is_up_as_an_ordinary_user(lab: Lab) -> None:
    status = lab.status()
    assert status["ready"]
    assert status["data_plane"] == "none"
    for service in status["services"]:
        assert Path(f"/proc/{service['pid']}").stat().st_uid != 0, service["name"]
        assert service["rss_mib"] > 50


def test_starting_again_says_so_at_once(lab: Lab) -> None:
    pids = [service["pid"] for service in lab.status()["services"]]
    assert lab.start() < 2
    assert [service["pid"] for service in lab.status()["services"]] == pids


def test_passwords_are_its_own_and_kept_private(lab: Lab) -> None:
    file = Path(lab.status()["clouds_yaml"])
    assert file.stat().st_mode & 0o077 == 0
    assert Path(lab.status()["state"]).stat().st_mode & 0o077 == 0
    assert "password: admin" not in file.read_text(encoding="utf-8")


def test_placement_shows_the_declared_pools(cloud: Connection) -> None:
    held = {"VCPU": 0, "MEMORY_MB": 0, "DISK_GB": 0}
    names = set()
    for provider in cloud.placement.resource_providers():
        names.add(provider.name)
        inventory = cloud.placement.get(f"/resource_providers/{provider.id}/inventories").json()
        for resource, entry in inventory["inventories"].items():
            assert entry["allocation_ratio"] == 1.0
            held[resource] += entry["total"] - entry["reserved"]
    assert names == {
        "compute-internet-a",
        "compute-internet-b",
        "compute-office-a",
        "compute-classified-a",
    }
    pools = settings.load(environment={}).openstack.pools
    assert held == {
        "VCPU": sum(pool.vcpu for pool in pools),
        "MEMORY_MB": sum(pool.memory_gib for pool in pools) * 1024,
        "DISK_GB": sum(pool.storage_tib for pool in pools) * 1024,
    }


def test_each_pool_is_a_zone_for_servers_and_for_volumes(cloud: Connection) -> None:
    pools = {"internet-a", "internet-b", "office-a", "classified-a"}
    compute = {s.availability_zone for s in cloud.compute.services() if s.binary == "nova-compute"}
    volume = {
        s.availability_zone
        for s in cloud.block_storage.services()
        if s.binary == "cinder-volume" and s.state == "up"
    }
    assert compute == pools
    assert volume == pools


def test_a_volume_too_big_for_its_pool_is_refused_by_the_cloud(cloud: Connection) -> None:
    volume = cloud.block_storage.create_volume(
        name="beyond", size=41 * 1024, availability_zone="classified-a"
    )
    try:
        with pytest.raises(openstack.exceptions.ResourceFailure):
            cloud.block_storage.wait_for_status(volume, "available", ["error"], 0.2, 30)
    finally:
        cloud.block_storage.delete_volume(volume)


def make_server(cloud: Connection, name: str, zone: str) -> Any:
    """An ACTIVE server on a network of its own."""
    network = cloud.network.create_network(name=name)
    cloud.network.create_subnet(name=name, network_id=network.id, ip_version=4, cidr="10.77.9.0/24")
    server = cloud.compute.create_server(
        name=name,
        image_id=cloud.image.find_image("lab-tiny").id,
        flavor_id=cloud.compute.find_flavor("lab.tiny").id,
        networks=[{"uuid": network.id}],
        availability_zone=zone,
    )
    return cloud.compute.wait_for_server(server, interval=0.2, wait=60)


def attach(cloud: Connection, server: Any, size_gib: int, zone: str) -> Any:
    """A volume of another pool, in use by the server."""
    volume = cloud.block_storage.create_volume(
        name=server.name, size=size_gib, availability_zone=zone, volume_type="ssd"
    )
    cloud.block_storage.wait_for_status(volume, "available", ["error"], 0.2, 30)
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    return cloud.block_storage.wait_for_status(volume, "in-use", ["error"], 0.2, 30)


def test_servers_and_volumes_survive_stop_and_start(lab: Lab, cloud: Connection) -> None:
    running = make_server(cloud, "stays-active", "office-a")
    volume = attach(cloud, running, 30 * 1024, "internet-b")
    stopped = make_server(cloud, "stays-off", "classified-a")
    cloud.compute.stop_server(stopped)
    cloud.compute.wait_for_server(stopped, "SHUTOFF", interval=0.2, wait=30)

    assert lab.run("stop").returncode == 0
    assert not lab.status()["ready"]
    lab.start()

    running = cloud.compute.get_server(running.id)
    assert (running.status, running.compute_host) == ("ACTIVE", "compute-office-a")
    assert cloud.compute.get_server(stopped.id).status == "SHUTOFF"
    assert cloud.block_storage.get_volume(volume.id).status == "in-use"
    # The reloaded guest still obeys.
    cloud.compute.delete_volume_attachment(running, volume.id)
    cloud.block_storage.wait_for_status(volume, "available", ["error"], 0.2, 30)
    cloud.compute.reboot_server(running, "HARD")
    cloud.compute.wait_for_server(running, interval=0.2, wait=30)
    cloud.compute.start_server(stopped)
    cloud.compute.wait_for_server(stopped, interval=0.2, wait=30)
    for server in (running, stopped):
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.2, wait=30)
    assert errors_in(lab, "nova") == []


def errors_in(lab: Lab, service: str) -> list[str]:
    log = Path(lab.service(service)["log"]).read_text(encoding="utf-8")
    return [line for line in log.splitlines() if " ERROR " in line]


def kill(lab: Lab, service: str) -> dict[str, Any]:
    """Ends a service as the out-of-memory killer would; returns its status before."""
    before = lab.service(service)
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: bool(lab.service(service)["state"] == "died"))
    return before


def test_a_service_that_died_is_named_with_its_log_and_started_again(lab: Lab) -> None:
    glance = kill(lab, "glance")
    with Path(glance["log"]).open("a", encoding="utf-8") as log:
        log.write("2026-11-24 05:00:00.000 1 ERROR glance.lab [-] the disk is on fire\n")

    told = lab.run("status")
    assert told.returncode != 0
    assert glance["log"] in told.stdout
    assert "the disk is on fire" in told.stdout

    started = lab.run("start")
    assert started.returncode == 0
    assert "the disk is on fire" in started.stderr
    assert lab.status()["ready"]


def test_a_taken_port_is_named_with_its_holder(lab: Lab) -> None:
    glance = kill(lab, "glance")
    port = int(glance["endpoint"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        refused = lab.run("start")
    assert refused.returncode == 1
    assert f"port {port} for glance is taken by process {os.getpid()}" in refused.stderr
    assert "Traceback" not in refused.stderr
    lab.start()


def test_a_second_copy_lives_beside_the_first(lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path)
    try:
        other.start()
        assert lab.status()["ready"]
        ours = {service["endpoint"] for service in lab.status()["services"]}
        theirs = {service["endpoint"] for service in other.status()["services"]}
        assert not ours & theirs
        other.connect().identity.create_project(name="only-there")
        assert lab.connect().identity.find_project("only-there") is None

        assert other.run("reset").returncode == 0
        assert list(Path(other.status()["state"]).iterdir()) == []
        assert lab.status()["ready"]
    finally:
        cleaned = other.run("clean")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_state_keeps_its_data_plane_and_ports(lab: Lab) -> None:
    assert lab.run("stop").returncode == 0
    for change in ({"LAB_DATA_PLANE": "real"}, {"LAB_PORTS__PORT_OFFSET": "9000"}):
        refused = lab.run("start", **change)
        assert refused.returncode == 1
        assert "reset" in refused.stderr


def wait_until(holds: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
