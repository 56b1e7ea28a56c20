"""The real data plane's whole life: it comes, its machines work and last, it dies, it goes.

One copy of the lab for the file, as root on Debian; the tests tell one story and stand on each
other, in order. It installs Debian packages where they are missing and removes those again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import paramiko
import pytest
from openstack.exceptions import NotFoundException

from lab.host import picture as host
from lab.openstack import dataplane
from lab.openstack.dataplane.commands import pid_from, pids_inside
from lab.openstack.dataplane.layout import Layout
from lab.tool import run
from tests.lab.capture import Capture
from tests.lab.cloud import Department, Lab, Machine, until

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

VOLUME_GIB = 1
SECTORS_PER_GIB = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    return host.picture()


@pytest.fixture(scope="module")
def lab(before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.must("start")
        yield lab
    finally:
        lab.run("clean")


@pytest.fixture(scope="module")
def department(lab: Lab) -> Department:
    ranges = lab.settings().ranges
    inside = IPv4Network((ranges.tenants.network_address, 24))
    return Department(lab.connect(), ranges, inside)


@pytest.fixture(scope="module")
def machine(department: Department) -> Machine:
    return department.boot("office-machine", "office-a")


@pytest.fixture(scope="module")
def key(machine: Machine) -> tuple[str, str]:
    return machine.host_key()


@pytest.fixture(scope="module")
def volume(machine: Machine) -> Any:
    storage = machine.cloud.block_storage
    made = storage.create_volume(name="data", size=VOLUME_GIB, availability_zone="office-a")
    return storage.wait_for_status(made, "available", interval=0.2, wait=30)


def test_status_says_that_machines_are_real_and_what_they_stand_on(lab: Lab) -> None:
    status = lab.status()
    assert status["ready"]
    assert status["data_plane"] == "real"
    plane = status["plane"]
    assert plane["up"], plane
    assert plane["fenced"]
    assert plane["accelerator"] in ("kvm", "tcg")
    assert "declared" in plane["hosts"]


def test_pools_have_their_declared_size_on_a_small_machine(lab: Lab, machine: Machine) -> None:
    cloud, found = machine.cloud, []
    for provider in cloud.placement.resource_providers():
        url = f"/resource_providers/{provider.id}/inventories"
        found.append(cloud.placement.get(url).json()["inventories"]["VCPU"]["total"])
    assert sorted(found) == sorted(pool.vcpu for pool in lab.settings().openstack.pools)


def test_ssh_accepts_the_host_key_of_the_console_and_no_other(
    machine: Machine, key: tuple[str, str]
) -> None:
    assert machine.sh(key, "hostname").startswith("office-machine")
    wrong = paramiko.Ed25519Key(filename=None, data=None, file_obj=_another_host_key())
    with pytest.raises(paramiko.BadHostKeyException):
        machine.login(("ssh-ed25519", wrong.get_base64()))
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        machine.login(None)


def test_a_machine_of_another_pool_runs_on_the_same_network(
    department: Department, machine: Machine, key: tuple[str, str]
) -> None:
    other = department.boot("internet-machine", "internet-b")
    other_key = other.host_key()
    assert other_key != key
    assert other.sh(other_key, "hostname").startswith("internet-machine")
    inner = other.sh(other_key, "ip -4 -o addr show eth0").split()[3].split("/")[0]
    # one group, but no rule between its members: the guest's own listener stays shut
    assert "hello" not in machine.sh(key, f"nc -w 2 {inner} 8080 < /dev/null")
    other.cloud.compute.delete_server(other.id)


def test_security_groups_shut_and_open_a_port(
    department: Department, machine: Machine, key: tuple[str, str]
) -> None:
    machine.sh(key, "true")
    assert not _open(machine.address, 8080)
    department.allow(8080)
    until(lambda: _open(machine.address, 8080) or None, 15, "port 8080 opened by a rule")


def test_two_departments_reach_each_other_only_where_one_opens_a_port_for_the_other(
    lab: Lab, machine: Machine, key: tuple[str, str]
) -> None:
    """Real packets between real machines: `machine` answers on 8080, and to the host it does."""
    ranges = lab.settings().ranges
    inside = list(ranges.tenants.subnets(new_prefix=24))[1]
    neighbour = Department(lab.connect_as_member("neighbour"), ranges, inside)
    stranger = neighbour.boot("stranger", "office-a")
    stranger_key = stranger.host_key()
    inner = machine.sh(key, "ip -4 -o addr show eth0").split()[3].split("/")[0]

    def hears(address: str) -> bool:
        return "hello" in stranger.sh(stranger_key, f"nc -w 2 {address} 8080 < /dev/null")

    assert _open(machine.address, 8080)
    assert not hears(inner)  # there is no route between their networks
    assert not hears(machine.address)  # the rule is for the host alone
    machine.owner.allow(8080, stranger.address)
    until(lambda: hears(machine.address) or None, 15, "the port opened for the neighbour")
    assert not hears(inner)
    for ask in (
        lambda: neighbour.cloud.compute.get_server(machine.id),
        lambda: neighbour.cloud.compute.get_server_console_output(machine.id),
        lambda: neighbour.cloud.network.get_security_group(machine.owner.group.id),
    ):
        with pytest.raises(NotFoundException):
            ask()
    stranger.cloud.compute.delete_server(stranger.id)


def test_a_guest_opens_no_connection_to_the_host(
    lab: Lab, machine: Machine, key: tuple[str, str]
) -> None:
    link = lab.settings().ranges.host_link[1]
    with socket.create_server((str(link), 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(4)
        machine.sh(key, f"nc -w 2 {link} {port} < /dev/null")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_volume_is_attached_written_and_extended_while_the_machine_runs(
    machine: Machine, key: tuple[str, str], volume: Any
) -> None:
    storage = machine.cloud.block_storage
    machine.cloud.compute.create_volume_attachment(machine.id, volume_id=volume.id)
    storage.wait_for_status(volume, "in-use", failures=["error"], interval=0.2, wait=60)
    _await_sectors(machine, key, VOLUME_GIB)
    machine.sh(key, "mke2fs -F /dev/vdb 65536 && mkdir -p /v && mount -t ext4 /dev/vdb /v")
    machine.sh(key, "echo kept-on-the-volume > /v/file && echo kept-on-the-disk > /root/file; sync")
    # growing a volume in use came with block storage API 3.42
    storage.post(
        f"/volumes/{volume.id}/action",
        json={"os-extend": {"new_size": VOLUME_GIB + 1}},
        headers={"OpenStack-API-Version": "volume 3.42"},
    )
    _await_sectors(machine, key, VOLUME_GIB + 1)


def test_resizing_up_and_down_keeps_disk_volume_and_host_key(
    department: Department, machine: Machine, key: tuple[str, str]
) -> None:
    compute = machine.cloud.compute
    for flavor, processors in ((department.large, "2"), (department.small, "1")):
        compute.resize_server(machine.id, flavor.id)
        machine.wait("VERIFY_RESIZE")
        compute.confirm_server_resize(machine.id)
        machine.wait("ACTIVE")
        assert machine.sh(key, "nproc; cat /root/file") == f"{processors}\nkept-on-the-disk"
    assert _volume_content(machine, key) == "kept-on-the-volume"


def test_stop_start_and_reboot_leave_it_reachable(machine: Machine, key: tuple[str, str]) -> None:
    compute = machine.cloud.compute
    compute.stop_server(machine.id)
    machine.wait("SHUTOFF")
    compute.start_server(machine.id)
    machine.wait("ACTIVE")
    assert machine.sh(key, "cat /root/file") == "kept-on-the-disk"
    boot = machine.sh(key, "cat /proc/sys/kernel/random/boot_id")
    compute.reboot_server(machine.id, "SOFT")
    until(lambda: _booted_anew(machine, key, boot) or None, 60, "a reboot")


def test_the_lab_stops_with_machines_and_volumes_and_brings_them_back(
    lab: Lab, machine: Machine, key: tuple[str, str]
) -> None:
    lab.must("stop")
    layout = Layout.of(lab.settings())
    assert not pids_inside(layout)
    assert not layout.namespace_file.exists()
    assert not dataplane.leads_to_lab(lab.settings(), machine.address)
    lab.must("start")
    assert machine.sh(key, "cat /root/file") == "kept-on-the-disk"
    assert _volume_content(machine, key) == "kept-on-the-volume"


def test_a_volume_is_detached_from_a_running_machine(
    machine: Machine, key: tuple[str, str], volume: Any
) -> None:
    machine.sh(key, "umount /v")
    machine.cloud.compute.delete_volume_attachment(machine.id, volume.id)
    storage = machine.cloud.block_storage
    storage.wait_for_status(volume, "available", failures=["error"], interval=0.2, wait=60)
    until(lambda: "vdb" not in machine.sh(key, "ls /sys/block") or None, 10, "the disk gone")


def test_no_packet_leaves_whatever_of_the_data_plane_dies(
    lab: Lab, machine: Machine, key: tuple[str, str]
) -> None:
    machine.sh(key, "true")
    layout = Layout.of(lab.settings())
    ranges = lab.settings().ranges
    targets = [machine.address, str(ranges.host_link[2]), str(ranges.tenants[10])]
    with Capture(layout.lab_ranges) as alive:
        _knock(targets)
    assert alive.seen[layout.veth], "the capture must see what does go into the lab"
    assert set(alive.seen) <= {layout.veth, "lo"}

    switch = pid_from(layout, layout.ovs_folder / "ovs-vswitchd.pid")
    assert switch is not None
    with Capture(layout.lab_ranges) as switch_dead:
        os.kill(switch, signal.SIGKILL)
        _knock(targets)
    assert set(switch_dead.seen) <= {layout.veth, "lo"}

    with Capture(layout.lab_ranges) as all_dead:
        for pid in pids_inside(layout):
            os.kill(pid, signal.SIGKILL)
        run(["ip", "link", "del", layout.veth])
        run(["umount", "-n", layout.namespace_file])
        assert not dataplane.leads_to_lab(lab.settings(), machine.address)
        _knock(targets)
    assert set(all_dead.seen) <= {"lo"}
    with pytest.raises(OSError, match=r"No route to host|unreachable"):
        socket.create_connection((machine.address, 22), timeout=5)


def test_clean_leaves_the_machine_as_it_was(lab: Lab, before: dict[str, set[str]]) -> None:
    lab.must("clean")
    assert host.differences(before, host.picture()) == {}
    assert not (lab.home / "dataplane").exists()


def _another_host_key() -> Any:
    from io import StringIO

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return StringIO(text.decode())


def _open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def _await_sectors(machine: Machine, key: tuple[str, str], size_gib: int) -> None:
    wanted = str(size_gib * SECTORS_PER_GIB)
    until(
        lambda: machine.sh(key, "cat /sys/block/vdb/size") == wanted or None,
        20,
        f"a disk of {size_gib} GiB in the guest",
    )


def _volume_content(machine: Machine, key: tuple[str, str]) -> str:
    return machine.sh(key, "mkdir -p /v; mount -t ext4 /dev/vdb /v; cat /v/file")


def _booted_anew(machine: Machine, key: tuple[str, str], boot: str) -> bool:
    try:
        return machine.sh(key, "cat /proc/sys/kernel/random/boot_id") != boot
    except (OSError, EOFError, paramiko.SSHException):
        return False


def _knock(targets: list[str]) -> None:
    """A datagram and a connection attempt to each address, as a client that knows no better."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for target in targets:
            with contextlib.suppress(OSError):
                datagrams.sendto(b"lab", (target, 9))
            _open(target, 22)
    time.sleep(0.5)


def test_the_capture_reads_targets_of_packets_and_of_arp_questions() -> None:
    from tests.lab.capture import ETHERTYPE_ARP, ETHERTYPE_IPV4, _target

    target = bytes([172, 30, 77, 9])
    assert str(_target(bytes(16) + target, ETHERTYPE_IPV4)) == "172.30.77.9"
    assert str(_target(bytes(24) + target, ETHERTYPE_ARP)) == "172.30.77.9"
    assert _target(bytes(40), 0x86DD) is None
    assert _target(b"short", ETHERTYPE_IPV4) is None


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    from lab.errors import LabError

    deep = Lab(tmp_path / ("x" * 100))
    with pytest.raises(LabError, match="too deep"):
        Layout.of(deep.settings())
