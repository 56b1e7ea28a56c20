"""Databases on machines of their own: the city they are ordered in, and who tries to reach them."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import paramiko
import sqlalchemy as sa
import yaml
from cryptography import x509

from controlplane.backups.models import Backup, RestoreDrill
from controlplane.certificates.authority import Authority
from controlplane.certificates.service import certificates_of
from controlplane.clock import utc_now
from controlplane.drivers.machine_disks import ASK, reading_of, told_by
from controlplane.machines import logins
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource, ResourceDisk
from controlplane.provisioning.pairs import machine_id_of
from lab import log_programs
from tests.integration.live_city import LiveCity, objects_tagged, run_control_plane, wait_for
from tests.lab import by_hand
from tests.lab.client_programs import client_programs
from tests.lab.cloud import Department, Lab, Machine

T = TypeVar("T")
#: An emulated machine boots, and then makes its data folder.
PATIENCE_SECONDS = 300
NAME = "低保核对"
#: What a client of PostgreSQL sends first; the server answers with one letter.
ASKS_FOR_TLS = r"\000\000\000\010\004\322\026\057"


class PatientCity(LiveCity):
    """Behind its orders are machines that boot."""

    def wait(
        self, check: Callable[[], T | None], what: str, tell: Callable[[], Any] = lambda: ""
    ) -> T:
        return wait_for(check, what, tell, PATIENCE_SECONDS)


@contextmanager
def started(folder: Path) -> Iterator[Lab]:
    """A copy of the lab, gone again at the end."""
    lab = Lab(folder)
    try:
        lab.must("start")
        yield lab
    finally:
        lab.run("clean")


@contextmanager
def governed(lab: Lab, folder: Path) -> Iterator[LiveCity]:
    """A city with a certificate authority over that lab's machines."""
    Authority(folder / "var" / "authority", "http://pki").create("Sample City", utc_now())
    file = Path(lab.status()["clouds_yaml"]).read_text(encoding="utf-8")
    entry = yaml.safe_load(file)["clouds"]["lab"]
    control_plane, clock, worker, ticks = run_control_plane(
        folder,
        "d",
        {"lab": entry},
        {
            "machines_answer": True,
            "machine_tools": client_programs(),
            "machine_log_tools": log_programs.of_machines(lab.settings()),
            "backup_store": folder / "store",
        },
    )
    made = PatientCity(control_plane, clock, lab.connect(), entry, "d", worker, ticks)
    yield made
    made.worker.stop()
    made.control_plane.db.dispose()


def order(city: LiveCity, service: str, login: str = "limin", **form: str) -> int:
    """Ordered and approved: a small one; its request."""
    asked = Ask(
        service,
        "provision",
        "internet",
        {"system_name": NAME, "plan": "machine_small", "database_name": "dibao", **form},
    )
    request_id = city.control_plane.pipeline.submit_request(city.person(login), asked)
    city.decide("zhangjing", request_id)
    city.worker.wake()
    return request_id


def shown(city: LiveCity, resource_id: str) -> dict[str, str]:
    """The ways to connect, as the department is shown them."""
    told = city.control_plane.connections.show(city.person("limin"), resource_id, "核对")
    return {snippet.code: text for snippet, text in told.snippets}


def retire(city: LiveCity, resource_id: str) -> None:
    """It and its machine go, and nothing of either is left."""
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, NAME)
    city.worker.wake()
    city.idle()
    city.retire_all()
    city.assert_nothing_is_held()
    machine_id = machine_id_of(resource_id)
    assert objects_tagged(city.admin, {resource_id, machine_id}) == []
    names = [group.name for group in city.admin.network.security_groups()]
    assert f"egov-{machine_id}" not in names


def ended(city: LiveCity, action: str) -> None:
    city.worker.wake()
    city.idle()
    assert city.jobs(action=action)[-1].state == "succeeded", city.told()


def backup_of(city: LiveCity, resource_id: str, kind: str) -> str:
    """The number of the newest one, which is kept."""
    ended(city, "backup")
    with city.control_plane.db.read() as session:
        of = sa.select(Backup).where(Backup.resource_id == resource_id, Backup.kind == kind)
        backup = session.scalars(of.order_by(Backup.id.desc())).first()
    assert backup is not None, city.told()
    assert backup.state == "kept", city.told()
    return backup.number


def back_up(city: LiveCity, resource_id: str) -> str:
    """Backed up by its owner; the backup's number."""
    city.control_plane.recovery.back_up_now(city.person("limin"), resource_id)
    return backup_of(city, resource_id, "manual")


def back_up_moment(city: LiveCity, resource_id: str, moment: datetime) -> str:
    """What it held at a moment before, taken out by its owner; the backup's number."""
    city.control_plane.recovery.back_up_moment(city.person("limin"), resource_id, moment)
    return backup_of(city, resource_id, "moment")


def drill(city: LiveCity, resource_id: str, *, rows: int) -> None:
    """Its newest backup is restored beside it, and every row is the same."""
    city.control_plane.recovery.drill_now(city.person("chengang"), resource_id)
    ended(city, "drill")
    with city.control_plane.db.read() as session:
        drill = session.scalars(sa.select(RestoreDrill)).one()
    found = (drill.result, drill.difference, drill.rows_compared)
    assert found == ("passed", "", rows), found


def exchange(city: LiveCity, one_id: str, other_id: str) -> None:
    city.control_plane.recovery.exchange(city.person("limin"), one_id, other_id, NAME)
    ended(city, "exchange")


def restore_in_place(city: LiveCity, resource_id: str, number: str) -> None:
    recovery = city.control_plane.recovery
    recovery.restore_in_place(city.person("limin"), resource_id, number, NAME)
    ended(city, "restore")


def end_with_a_last_backup(city: LiveCity, resource_id: str) -> None:
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, NAME)
    assert backup_of(city, resource_id, "last")
    ended(city, "retire")


def disk_level(city: LiveCity, resource_id: str) -> str:
    """How full the tick finds its data volume."""
    city.ticks.measure_disks()
    with city.control_plane.db.read() as session:
        disk = session.get(ResourceDisk, resource_id)
        return disk.level if disk else ""


def leave_room(city: LiveCity, machine_id: str, mib: int | None) -> None:
    """So much is free on the data volume, by a file that takes the rest; for None it goes."""
    plane, file = city.control_plane, "/srv/data/ballast"
    with plane.db.read() as session:
        machine = session.get_one(Resource, machine_id)
        login = logins(session, plane.settings, [machine])[machine_id]
    told_by(login, f"rm -f {file}")
    if mib is not None:
        reading = reading_of(told_by(login, ASK))
        assert reading.size_bytes is not None
        size = reading.size_bytes - reading.used_bytes - mib * 2**20
        script = (
            f"import os; os.posix_fallocate(os.open('{file}', os.O_CREAT | os.O_RDWR), 0, {size})"
        )
        told_by(login, f'python3 -c "{script}"')


#: The same of MariaDB's, once it has greeted: what it speaks, TLS, and nothing more yet.
MARIADB_ASKS_FOR_TLS = struct.pack("<IIIB23x", 32 | 1 << 24, 0x8A00, 1 << 24, 45)


def served_serial(address: str, port: int) -> str:
    """Of the certificate that the server there shows whoever asks for TLS."""
    open_to_all = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    open_to_all.check_hostname, open_to_all.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, port), timeout=20) as plain:
        if port == 5432:
            plain.sendall(struct.pack(">II", 8, 80877103))
            assert plain.recv(1) == b"S"
        else:
            assert plain.recv(4096)
            plain.sendall(MARIADB_ASKS_FOR_TLS)
        with open_to_all.wrap_socket(plain) as encrypted:
            shown = encrypted.getpeercert(binary_form=True)
    assert shown is not None
    return f"{x509.load_der_x509_certificate(shown).serial_number:x}"


def renew_certificate(city: LiveCity, resource_id: str, port: int) -> None:
    """The server shows another one, which stands in the register; the one before is revoked."""
    address = str(city.resource(resource_id).outputs["address"])
    before = served_serial(address, port)
    city.operate(resource_id, "renew")
    after = city.wait(
        lambda: found if (found := served_serial(address, port)) != before else None, "another"
    )
    with city.control_plane.db.read() as session:
        rows = [(row.serial, row.state) for row in certificates_of(session, resource_id)]
    assert rows == [(after, "valid"), (before, "revoked")]


@dataclass
class ByHand:
    """The same machine and the same play, as an engineer would do it without a control plane."""

    machine: Machine
    volume_id: str
    engine: str
    folder: Path
    booted_s: float
    took_s: float

    def play_again(self) -> int:
        """How many tasks a second run changes."""
        again = by_hand.install(self.folder, self.engine)
        changed = re.search(r" changed=(\d+) ", again.stdout)
        assert changed is not None, again.stdout + again.stderr
        return int(changed[1])

    def end(self) -> None:
        self.machine.cloud.compute.delete_server(self.machine.id)


def done_by_hand(department: Department, city: LiveCity, engine: str, folder: Path) -> ByHand:
    """Booted, reached over SSH, its server installed by the play."""
    authority = Authority(folder / "authority", "http://pki")
    authority.create("By Hand", utc_now())
    began = time.monotonic()
    machine, volume_id = by_hand.boot(department, engine)
    booted_s = time.monotonic() - began
    by_hand.prepare(machine, volume_id, city.entry, folder / "run", authority)
    done = by_hand.install(folder / "run", engine)
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return ByHand(machine, volume_id, engine, folder / "run", booted_s, took_s)


def assert_done_twice_is_done_once(
    engineers: Department, city: LiveCity, engine: str, folder: Path
) -> None:
    """A second run changes nothing; a server that runs gets the room of its grown volume."""
    done = done_by_hand(engineers, city, engine, folder)
    assert done.play_again() == 0
    by_hand.grow_volume(done.machine, done.volume_id)
    done.end()


class Guest:
    """A machine of a department's, on which its people try to get somewhere."""

    def __init__(self, city: LiveCity, login: str) -> None:
        self.key = paramiko.RSAKey.generate(2048)
        public = f"ssh-rsa {self.key.get_base64()} test"
        request_id = city.order(login, ssh_public_key=public, floating_address=True)
        self.outputs = city.resource(city.fulfilled(request_id)).outputs
        self.address = self.outputs["addresses"]["floating"]

    def reaches(self, address: str, port: int) -> bool:
        """Whether PostgreSQL answers at the port within three seconds."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        kind, text = self.outputs["host_key"].split()[:2]
        public = paramiko.PKey.from_type_string(kind, base64.b64decode(text))
        client.get_host_keys().add(self.address, kind, public)
        client.connect(self.address, username="root", pkey=self.key, allow_agent=False, timeout=20)
        try:
            asked = f"printf '{ASKS_FOR_TLS}' | nc -w 3 {address} {port} | dd bs=1 count=1"
            _, out, _ = client.exec_command(asked, timeout=30)
            return bool(out.read() == b"S")
        finally:
            client.close()


def is_open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True
