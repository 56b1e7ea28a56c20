"""A database on a machine of its own: one order, two resources, built and ended as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509

from controlplane.admission.models import Claim
from controlplane.app import create_app
from controlplane.certificates.authority import Authority
from controlplane.config import CHECKOUT, Settings
from controlplane.credentials.models import Credential
from controlplane.delivery import Run
from controlplane.drivers.machine_disks import MachineDisks, reading_of
from controlplane.drivers.machine_logs import MachineLogs
from controlplane.errors import InvalidInput, NotFound
from controlplane.machines import machine_id_of
from controlplane.metering.models import UsageInterval
from controlplane.pipeline import Ask
from controlplane.provisioning.filling import GIB
from controlplane.provisioning.models import Job, Resource, ResourceDisk
from controlplane.readings import DiskReading
from tests.factories import City, FrozenClock, open_city
from tests.functional.depot import written
from tests.functional.test_changes import ask_for, books_are_right, request_state
from tests.functional.test_ui_pages import lint, sign_in

#: What runs on such machines, and the golden image of each.
IMAGES = {"postgresql": "egov-postgresql-15", "mariadb": "egov-mariadb-10.11"}
PLAN = {"vcpu": 1, "memory_mib": 2048, "storage_gib.standard": 30}
BUILT = {
    "server_id": "s-1",
    "port_id": "p-1",
    "volume_ids": ["v-1"],
    "addresses": {"fixed": "10.77.3.9", "floating": "172.30.77.20"},
    "host_key": "ssh-ed25519 AAAAhostkey",
}


@pytest.fixture
def city(tmp_path: Path, sample_url: str) -> Iterator[City]:
    """The shipped services, with a certificate authority: machines can be configured."""
    settings = Settings(var_dir=tmp_path / "var")
    Authority(settings.authority, "http://pki").create("Sample City", FrozenClock()())
    made = open_city(tmp_path, sample_url, CHECKOUT / "playbooks" / "services")
    yield made
    made.control_plane.db.dispose()


def order(city: City, service: str = "postgresql", **form: Any) -> int:
    asked = ask_for(
        service,
        **{"system_name": "核对", "plan": "machine_small", "database_name": "hedui", **form},
    )
    return city.control_plane.pipeline.submit_request(city.person("limin"), asked)


def ordered(city: City, service: str = "postgresql") -> tuple[int, str, str]:
    """An approved order: its request, the database's id, its machine's id."""
    request_id = order(city, service)
    city.decide("zhangjing", request_id)
    with city.control_plane.db.read() as session:
        database = session.scalars(
            sa.select(Resource).where(
                Resource.request_id == request_id, Resource.service == service
            )
        ).one()
        return request_id, database.id, machine_id_of(database.id)


def claim(city: City, action: str, service: str) -> Run:
    """The next job but for those of the department's place, which is set up on the way."""
    delivery = city.control_plane.delivery
    while (run := delivery.claim("test:1")) is not None:
        with city.control_plane.db.read() as session:
            job = session.get_one(Job, run.job_id)
            found = (job.action, job.service)
        if job.service == "platform":
            delivery.complete(run, {"security_group": "department"})
            continue
        assert found == (action, service)
        return run
    raise AssertionError(f"nothing waits; {action} of {service} was to")


def delivered(city: City, service: str = "postgresql") -> tuple[str, str]:
    _, database_id, machine_id = ordered(city, service)
    delivery = city.control_plane.delivery
    delivery.complete(claim(city, "provision", "vm"), BUILT)
    delivery.complete(claim(city, "provision", service), {"address": "172.30.77.20", "port": 5432})
    return database_id, machine_id


def read(city: City, resource_id: str) -> Resource:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id)


def states(city: City, *ids: str) -> list[str]:
    return [read(city, resource_id).state for resource_id in ids]


def held(city: City, state: str) -> dict[str, int]:
    with city.control_plane.db.read() as session:
        claims = session.scalars(sa.select(Claim).where(Claim.state == state))
        return {claim.dimension: claim.amount for claim in claims}


def secrets_of(city: City, resource_id: str) -> set[str]:
    with city.control_plane.db.read() as session:
        query = sa.select(Credential.name).where(Credential.resource_id == resource_id)
        return set(session.scalars(query))


def fail(city: City, action: str, service: str) -> None:
    """Every try of the next job fails."""
    while True:
        run = claim(city, action, service)
        if city.control_plane.delivery.fail(run, "no valid host"):
            return
        city.clock.advance(minutes=11)


@pytest.mark.parametrize("service", IMAGES)
def test_one_order_holds_the_machine_once_and_makes_both_at_the_approval(
    city: City, service: str
) -> None:
    request_id = order(city, service)
    assert held(city, "held") == PLAN
    city.decide("zhangjing", request_id)
    assert held(city, "allocated") == PLAN
    books_are_right(city)
    with city.control_plane.db.read() as session:
        rows = session.scalars(sa.select(Resource).where(Resource.request_id == request_id)).all()
        both = {row.service: row for row in rows}
    assert sorted(both) == [service, "vm"]
    database, machine = both[service], both["vm"]
    assert database.parent_id == machine.id == machine_id_of(database.id)
    assert (database.capacity, machine.capacity) == ({}, PLAN)
    assert machine.spec["image"] == IMAGES[service]
    assert machine.spec["ssh_public_key"].startswith("ssh-ed25519 ")
    assert machine.expires_at is None, "it ends with what stands on it"
    assert secrets_of(city, machine.id) == {"management_key", "admin_password"}


def test_the_machine_is_built_first_and_both_are_delivered_together(city: City) -> None:
    request_id, database_id, machine_id = ordered(city)
    delivery = city.control_plane.delivery
    first = claim(city, "provision", "vm")
    assert first.proves_login
    assert first.login is None
    assert not first.extravars["secrets"], "the machine's run needs none of its secrets"
    delivery.complete(first, BUILT)
    assert states(city, machine_id, database_id) == ["building", "building"]
    assert request_state(city, request_id) == "delivering"
    second = claim(city, "provision", "postgresql")
    delivery.complete(second, {"address": "172.30.77.20"})
    assert states(city, machine_id, database_id) == ["active", "active"]
    assert request_state(city, request_id) == "fulfilled"
    books_are_right(city)
    with city.control_plane.db.read() as session:
        metered = set(session.scalars(sa.select(UsageInterval.resource_id)))
    assert metered == {machine_id}, "what the machine holds is paid for once"


def test_a_run_is_told_how_to_get_in_and_every_try_is_told_the_same(city: City) -> None:
    _, _, machine_id = ordered(city)
    city.control_plane.delivery.complete(claim(city, "provision", "vm"), BUILT)
    told: list[Mapping[str, Any]] = []
    for _try in range(2):
        run = claim(city, "provision", "postgresql")
        assert run.login is not None
        assert (run.login.address, run.login.host_key) == (
            "172.30.77.20",
            "ssh-ed25519 AAAAhostkey",
        )
        assert "PRIVATE KEY" in run.login.private_key
        assert run.login.private_key not in repr(run.login)
        assert run.extravars["engine"] == "machine"
        told.append(run.extravars["machine"])
        city.control_plane.delivery.fail(run, "unreachable")
        city.clock.advance(minutes=11)
    assert told[0] == told[1]
    certificate = x509.load_pem_x509_certificate(told[0]["server_certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["172.30.77.20", "10.77.3.9"]
    assert "server_key" in secrets_of(city, machine_id)


def test_a_machine_that_is_never_built_gives_everything_back(city: City) -> None:
    request_id, database_id, machine_id = ordered(city)
    fail(city, "provision", "vm")
    assert request_state(city, request_id) == "failed"
    assert states(city, machine_id, database_id) == ["failed", "failed"]
    assert held(city, "allocated") == PLAN, "until the cloud is known to be clean"
    city.control_plane.delivery.complete(claim(city, "retire", "vm"), {})
    assert held(city, "allocated") == {}
    assert secrets_of(city, machine_id) == secrets_of(city, database_id) == set()
    books_are_right(city)
    assert city.control_plane.delivery.claim("test:1") is None


def test_a_database_that_is_never_configured_takes_its_machine_with_it(city: City) -> None:
    request_id, database_id, machine_id = ordered(city)
    city.control_plane.delivery.complete(claim(city, "provision", "vm"), BUILT)
    fail(city, "provision", "postgresql")
    assert request_state(city, request_id) == "failed"
    assert states(city, machine_id, database_id) == ["failed", "failed"]
    city.control_plane.delivery.complete(claim(city, "retire", "vm"), {})
    assert held(city, "allocated") == {}
    assert secrets_of(city, machine_id) == secrets_of(city, database_id) == set()
    books_are_right(city)
    with city.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageInterval)) == 0
    assert city.control_plane.delivery.claim("test:1") is None


def test_an_order_cancelled_before_anything_began_leaves_nothing_to_clean(city: City) -> None:
    _, database_id, machine_id = ordered(city)
    with city.control_plane.db.read() as session:
        job_id = session.scalars(sa.select(Job.id).where(Job.service == "vm")).one()
    city.control_plane.operations.cancel_job(city.person("chengang"), job_id)
    city.deliver()
    assert states(city, machine_id, database_id) == ["failed", "failed"]
    assert held(city, "allocated") == {}
    books_are_right(city)


@pytest.mark.parametrize("service", IMAGES)
def test_the_machine_goes_last_and_only_with_what_runs_on_it(city: City, service: str) -> None:
    database_id, machine_id = delivered(city, service)
    operations, limin = city.control_plane.operations, city.person("limin")
    with pytest.raises(InvalidInput) as refusal:
        operations.retire_resource(limin, machine_id, read(city, machine_id).name)
    assert [f.code for f in refusal.value.faults] == ["has_dependents"]
    operations.retire_resource(limin, database_id, "核对")
    city.control_plane.delivery.complete(claim(city, "power_off", service), {})
    assert states(city, machine_id, database_id) == ["active", "retiring"]
    city.clock.advance(days=8)
    operations.destroy_due()
    last = claim(city, "backup", service)
    assert (last.login is not None, last.extravars["machine"]["data_gib"]) == (True, 20)
    city.control_plane.delivery.complete(last, written(last, city.clock()))
    run = claim(city, "retire", service)
    assert run.login is None, "nothing is to be done on a machine that goes as a whole"
    city.control_plane.delivery.complete(run, {})
    assert states(city, machine_id, database_id) == ["destroying", "retired"]
    assert held(city, "allocated") == PLAN
    city.control_plane.delivery.complete(claim(city, "retire", "vm"), {})
    assert states(city, machine_id, database_id) == ["retired", "retired"]
    assert held(city, "allocated") == {}
    assert secrets_of(city, machine_id) == set()
    books_are_right(city)


@pytest.mark.parametrize("service", IMAGES)
def test_actions_of_the_database_reach_it_and_it_stays_on_its_machine(
    city: City, service: str
) -> None:
    database_id, machine_id = delivered(city, service)
    operations, limin = city.control_plane.operations, city.person("limin")
    operations.operate_resource(limin, database_id, "rotate_password", {})
    run = claim(city, "rotate_password", service)
    assert run.login is not None
    assert run.extravars["secrets"]["password"] != run.extravars["previous_secrets"]["password"]
    city.control_plane.delivery.complete(run, {"username": "b"})
    form = {"client_networks": "10.20.0.0/16, 10.30.1.0/24"}
    operations.operate_resource(limin, database_id, "set_clients", form)
    run = claim(city, "set_clients", service)
    assert run.extravars["spec"]["client_networks"] == form["client_networks"]
    city.control_plane.delivery.complete(run, {})
    reader = {"account": "report", "rights": "read"}
    operations.operate_resource(limin, database_id, "add_account", reader)
    run = claim(city, "add_account", service)
    assert (run.login is not None, run.extravars["inputs"]) == (True, reader)
    assert set(run.extravars["secrets"]) == {"password", "account"}
    reported = {"name": "report", "username": "hedui_report", "rights": "read"}
    city.control_plane.delivery.complete(run, {"accounts": [reported]})
    assert secrets_of(city, database_id) >= {"password", "account.report"}
    database = read(city, database_id)
    assert (database.parent_id, database.spec["machine"]) == (machine_id, machine_id)


def test_two_that_exchange_their_data_are_both_reached(city: City) -> None:
    one_id, _ = delivered(city)
    other_id, other_machine_id = delivered(city)
    limin = city.person("limin")
    city.control_plane.recovery.exchange(limin, one_id, other_id, "核对")
    run = claim(city, "exchange", "postgresql")
    other = run.extravars["other_machine"]
    assert other["resource_id"] == other_machine_id
    assert other["admin_password"] != run.extravars["machine"]["admin_password"]


@pytest.mark.parametrize("service", IMAGES)
def test_a_clone_is_told_how_to_get_into_its_source_too(city: City, service: str) -> None:
    source_id, source_machine_id = delivered(city, service)
    request_id = order(city, service, clone_of=read(city, source_id).number)
    city.decide("zhangjing", request_id)
    built = claim(city, "provision", "vm")
    assert "source" not in built.extravars
    assert "other_machine" not in built.extravars
    city.control_plane.delivery.complete(built, BUILT)
    run = claim(city, "provision", service)
    assert run.extravars["source"]["resource_id"] == source_id
    other, own = run.extravars["other_machine"], run.extravars["machine"]
    assert other["resource_id"] == source_machine_id
    assert other["admin_password"] != own["admin_password"]


def test_the_log_of_each_is_archived_as_its_machines_administrator(
    city: City, tmp_path: Path
) -> None:
    one_id, _ = delivered(city)
    other_id, _ = delivered(city, "mariadb")
    city.control_plane.recovery.back_up_now(city.person("limin"), one_id)
    administrator = claim(city, "backup", "postgresql").extravars["machine"]["admin_password"]
    hosts: dict[str, Mapping[str, Any]] = {}

    class Told(MachineLogs):
        def logs(self, own: Any) -> Any:
            found = super().logs(own)
            hosts.update({resource_id: opens.args[0] for resource_id, opens in found.items()})
            return {}

    tools = {service: tmp_path / service for service in IMAGES}
    city.control_plane.archiving.collect({"machine": Told(tools, tmp_path / "root.pem")})
    assert set(hosts) == {one_id, other_id}
    assert hosts[one_id] == {
        "service_address": "172.30.77.20",
        "service_port": 5432,
        "service_ca_file": str(tmp_path / "root.pem"),
        "service_admin_user": "postgres",
        "service_admin_password": administrator,
        "service_tools": str(tmp_path / "postgresql"),
    }
    assert hosts[other_id]["service_admin_password"] != administrator
    assert hosts[other_id]["service_admin_user"] == "egov_admin"
    hosts.clear()
    del tools["mariadb"]
    city.control_plane.archiving.collect({"machine": Told(tools, tmp_path / "root.pem")})
    assert set(hosts) == {one_id}, "of the other no programs are here that replay its log"


@pytest.mark.parametrize("service", ["postgresql", "mariadb"])
def test_the_disk_of_what_runs_on_a_machine_is_the_machine_s_data_volume(
    city: City, service: str
) -> None:
    database_id, machine_id = delivered(city, service)
    told: dict[str, Any] = {}

    class Machines(MachineDisks):
        def machine_disk_readings(self, logins: Any) -> Any:
            told.update(logins)
            return {resource_id: DiskReading(17, False, 19) for resource_id in logins}

    assert city.control_plane.disks.measure({"machine": Machines()}) == 1
    (login,) = told.values()
    assert (login.address, login.host_key) == ("172.30.77.20", BUILT["host_key"])
    assert login.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    with city.control_plane.db.read() as session:
        disk = session.get_one(ResourceDisk, database_id)
        assert session.get(ResourceDisk, machine_id) is None
    assert (disk.limit_gib, disk.level) == (20, "near")
    assert disk.used_bytes == 20 * GIB * 17 // 19
    page = sign_in(create_app(city.control_plane), "limin").get(f"/resources/{database_id}").text
    assert lint(page) == []
    assert "存满后拒绝写入" in page
    assert f'href="/resources/{machine_id}">' in page.split("存满后拒绝写入")[1][:300]


@pytest.mark.parametrize(
    ("said", "reading"),
    [
        (
            "Filesystem 1-blocks Used Available Capacity Mounted\n"
            "/dev/vdb 100 40 50 45% /srv/data\n",
            DiskReading(50, False, 100),
        ),
        ("df: /srv/data: No such file or directory\n", None),
        ("", None),
    ],
)
def test_what_df_says_is_read_or_left(said: str, reading: DiskReading | None) -> None:
    if reading is None:
        with pytest.raises(ValueError, match="its df says"):
            reading_of(said)
    else:
        assert reading_of(said) == reading


@pytest.mark.parametrize(
    "networks",
    ["0.0.0.0/0", "10.20.0.0", "10.20.0.300/24", "10.0.0.0/33", "all", "10.0.0.0/8;drop", "::/0"],
)
def test_networks_that_are_none_are_refused_at_the_form(city: City, networks: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        order(city, client_networks=networks)
    assert [f.field for f in refusal.value.faults] == ["client_networks"]


def test_the_machine_may_grow_and_not_shrink_below_what_runs_on_it(city: City) -> None:
    database_id, machine_id = delivered(city)
    pipeline, limin = city.control_plane.pipeline, city.person("limin")
    grown = Ask("vm", "change", "internet", {"plan": "standard"}, resource_id=machine_id)
    request_id = pipeline.submit_request(limin, grown)
    city.decide("zhangjing", request_id)
    city.control_plane.delivery.complete(claim(city, "change", "vm"), BUILT)
    assert read(city, machine_id).capacity["memory_mib"] == 8192
    books_are_right(city)
    larger = {"plan": "machine_standard"}
    itself = Ask("postgresql", "change", "internet", larger, resource_id=database_id)
    with pytest.raises(NotFound):
        pipeline.submit_request(limin, itself)
    smaller = Ask("vm", "change", "internet", {"plan": "small"}, resource_id=machine_id)
    assert not pipeline.prepare(limin, smaller).faults, "as small as what runs on it needs"


def test_without_real_machines_the_plans_are_not_offered_and_the_form_says_why(
    city: City, tmp_path: Path
) -> None:
    settings = city.control_plane.settings
    bare = open_city(tmp_path, settings.database_url, settings.services_dir, machines_answer=False)
    with pytest.raises(InvalidInput) as refusal:
        order(bare)
    bare.control_plane.db.dispose()
    assert [(f.code, f.field) for f in refusal.value.faults] == [("engine_absent", "plan")]


def test_the_form_says_that_its_networks_may_be_left_out(city: City) -> None:
    page = sign_in(create_app(city.control_plane), "limin").get("/catalogue/postgresql/apply").text
    label = page.partition("允许访问的网段")[2].partition("</label>")[0]
    field = page.partition('name="client_networks"')[2].partition(">")[0]
    assert "（选填）" in label
    assert "required" not in field
