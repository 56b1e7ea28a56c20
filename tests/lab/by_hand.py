"""What a platform engineer would do by hand for a database on a machine: boot it, run the play."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.access import Access, Login, with_machine
from controlplane.certificates.authority import Authority, Leaf, key_pem, new_key
from controlplane.clock import utc_now
from controlplane.config import CHECKOUT
from tests.lab.cloud import Department, Lab, Machine, until

#: The golden image of each engine.
IMAGES = {"postgresql": "egov-postgresql-15", "mariadb": "egov-mariadb-10.11"}
DATA_GIB = 20
FLAVOR = "test.database"


def department(lab: Lab) -> Department:
    """Where an engineer's machines stand."""
    ranges = lab.settings().ranges
    *_, subnet = ranges.tenants.subnets(new_prefix=24)
    made = Department(lab.connect(), ranges, IPv4Network(subnet))
    made.cloud.compute.create_flavor(name=FLAVOR, vcpus=1, ram=2048, disk=10)
    return made


def boot(department: Department, engine: str) -> tuple[Machine, str]:
    """A machine of the engine's image with its data volume, reached over SSH; the volume's id."""
    cloud = department.cloud
    flavor = cloud.compute.find_flavor(FLAVOR)
    volume = cloud.block_storage.create_volume(
        name="by-hand", size=DATA_GIB, availability_zone="internet-a"
    )
    machine = department.boot("by-hand", "internet-a", IMAGES[engine], flavor)
    cloud.block_storage.wait_for_status(volume, "available", interval=0.2, wait=30)
    cloud.compute.create_volume_attachment(machine.id, volume_id=volume.id)
    machine.login(machine.host_key(), limit_s=180).close()
    return machine, str(volume.id)


def prepare(
    machine: Machine, volume_id: str, entry: Mapping[str, Any], folder: Path, authority: Authority
) -> None:
    """What the play is told, and the way in, as files."""
    key_file = io.StringIO()
    machine.owner.key.write_private_key(key_file)
    host_key = " ".join(machine.host_key())
    access = with_machine(
        Access({"clouds.yaml": {"clouds": {"department": dict(entry)}}}),
        Login(machine.address, "root", host_key, key_file.getvalue(), authority.root_pem),
    )
    _write(folder, access, _told(machine, volume_id, authority))


def install(folder: Path, engine: str) -> subprocess.CompletedProcess[str]:
    """The very play of the service, run by ansible-playbook."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", "-i", folder / "machines.yml"),
            *(f"services/{engine}/manage.yml", "-e", f"@{folder / 'told.json'}"),
        ],
        cwd=CHECKOUT / "playbooks",
        env={
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def grow_volume(machine: Machine, volume_id: str) -> None:
    """Made larger while it is in use; returns when the machine's file system is, too."""
    key = machine.host_key()

    def size_mib() -> int:
        return int(machine.sh(key, "df -m /srv/data | tail -n 1").split()[1])

    before = size_mib()
    body = {"os-extend": {"new_size": DATA_GIB + 2}}
    storage = machine.cloud.block_storage
    # From this version on a volume grows while it is attached.
    answer = storage.post(f"/volumes/{volume_id}/action", json=body, microversion="3.42")
    assert answer.status_code == 202, answer.text
    until(lambda: (size_mib() > before + 1536) or None, 90, "the file system of the larger volume")


def _write(folder: Path, access: Access, told: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in {**access.files, "told.json": told}.items():
        (folder / name).write_text(json.dumps(content))
    for name, text in access.texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)


def _told(machine: Machine, volume_id: str, authority: Authority) -> dict[str, Any]:
    """What the control plane would have told the run."""
    now, key = utc_now(), new_key()
    until = now + timedelta(days=30)
    leaf = Leaf("test", (), (machine.address,), key.public_key(), until)
    certificate = authority.sign(leaf, now).public_bytes(Encoding.PEM).decode()
    port = next(machine.cloud.network.ports(device_id=machine.id))
    return {
        "controlplane": {
            "action": "provision",
            "engine": "machine",
            "cloud": "department",
            "resource_id": "00000000-by-hand",
            "resource_name": "by hand",
            "department": {"security_group": "test"},
            "outputs": {},
            "secrets": {"password": "by-hand-12345"},
            "spec": {
                "database_name": "hand",
                "plan": {"connections": 100},
                "client_networks": "",
            },
            "machine": {
                "data_gib": DATA_GIB,
                "resource_id": "00000000-by-hand-machine",
                "address": machine.address,
                "outputs": {"volume_ids": [volume_id], "port_id": port.id},
                "admin_password": "administrator-12345",
                "server_key": key_pem(key),
                "server_certificate": certificate + authority.chain_pem(authority.current),
            },
        }
    }
