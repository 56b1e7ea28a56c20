"""Web applications by HTTPS, without a cluster: what runs are told, what stands in the register."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509

from controlplane.app import create_app
from controlplane.certificate_jobs import authority_of
from controlplane.certificates.models import Certificate
from controlplane.config import Settings
from controlplane.credentials.models import Credential
from controlplane.delivery import Run
from controlplane.errors import InvalidInput, NotFound
from controlplane.reports import certificates as reports
from controlplane.tenancy.models import Department
from tests.factories import FrozenClock
from tests.functional.api_fixtures import make_api
from tests.functional.hall import Hall, archive, open_hall
from tests.functional.registry import NAME, Registry
from tests.functional.test_ui_pages import lint, sign_in

ADDRESS = "10.0.0.1"


@pytest.fixture
def hall(tmp_path: Path, sample_url: str) -> Iterator[Hall]:
    authority_of(Settings(var_dir=tmp_path / "var")).create("Sample City", FrozenClock()())
    made = open_hall(tmp_path, sample_url)
    yield made
    made.city.control_plane.db.dispose()


@pytest.fixture
def registry(hall: Hall, tmp_path: Path) -> Registry:
    return Registry(hall.city, tmp_path)


def operate(hall: Hall, resource_id: str, action: str, **form: str) -> list[str]:
    operations, limin = hall.city.control_plane.operations, hall.city.person("limin")
    operations.operate_resource(limin, resource_id, action, form)
    return hall.carry_out()


def serve(hall: Hall, resource_id: str, names: str = NAME) -> Run:
    assert operate(hall, resource_id, "serve_https", dns_names=names) == ["serve_https"]
    return hall.runs[-1]


def change_names(hall: Hall, resource_id: str, names: str) -> None:
    assert operate(hall, resource_id, "change_names", dns_names=names) == ["change_names"]


def states(registry: Registry, resource_id: str) -> list[tuple[str, str]]:
    return [(row.state, row.reason) for row in registry.certificates(resource_id)]


def sealed(hall: Hall, resource_id: str) -> list[tuple[str, str]]:
    with hall.city.control_plane.db.read() as session:
        query = sa.select(Credential.name, Credential.state)
        rows = session.execute(query.where(Credential.resource_id == resource_id)).all()
        return [(name, state) for name, state in rows]


def begun(hall: Hall) -> Run:
    run = hall.city.control_plane.delivery.claim("test:1")
    assert run is not None
    return run


def test_its_run_is_told_a_certificate_for_its_names_and_its_address(
    hall: Hall, registry: Registry
) -> None:
    resource_id = hall.application()
    assert "tls" not in hall.runs[-1].extravars
    run = serve(hall, resource_id, f"{NAME}\n{NAME.upper()}")
    (row,) = registry.certificates(resource_id)
    told = run.extravars["tls"]
    leaf, issuer = x509.load_pem_x509_certificates(told["certificate"].encode())
    leaf.verify_directly_issued_by(issuer)
    alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == [NAME]
    assert [str(a) for a in alternatives.get_values_for_type(x509.IPAddress)] == [ADDRESS]
    assert (row.state, row.names, told["serial"]) == ("valid", [NAME, ADDRESS], row.serial)
    hall.city.control_plane.certifying.refresh_lists()
    assert registry.verify(row, registry.lists()).endswith("leaf.pem: OK\n")
    assert Path(told["ca_file"]).read_text() == registry.authority.root_pem
    assert "PRIVATE KEY" in told["key"]
    assert sealed(hall, resource_id) == [("private_key", "current")]
    outputs = hall.resource(resource_id).outputs
    assert outputs["https"] == {"dns_names": NAME}
    assert outputs["https_url"] == f"https://{NAME}:30001/"
    assert outputs["certificate_not_after"] == row.not_after.isoformat()
    assert row.not_after == hall.city.clock() + timedelta(days=90)


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        ("", ["field_required"]),
        (" ,", ["certificate_without_names"]),
        ("www.finance.city.example", ["certificate_name_foreign"]),
        ("*.civil-affairs.city.example", ["certificate_wildcard"]),
        ("wpad.civil-affairs.city.example", ["certificate_name_reserved"]),
        (f"{NAME}\nno\n10.0.0.1", ["certificate_name_malformed"] * 2),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_signed(
    hall: Hall, registry: Registry, names: str, codes: list[str]
) -> None:
    resource_id = hall.application()
    with pytest.raises(InvalidInput) as refused:
        operate(hall, resource_id, "serve_https", dns_names=names)
    assert [fault.code for fault in refused.value.faults] == codes
    assert registry.certificates(resource_id) == []


def test_a_name_serves_one_application_at_a_time(hall: Hall, registry: Registry) -> None:
    first, second = hall.application(), hall.application()
    serve(hall, first)
    with pytest.raises(InvalidInput) as refused:
        operate(hall, second, "serve_https", dns_names=NAME)
    (fault,) = refused.value.faults
    assert (fault.code, fault.params["resource"]) == (
        "certificate_name_taken",
        hall.resource(first).number,
    )
    change_names(hall, first, "other.civil-affairs.city.example")
    assert states(registry, first) == [("revoked", "superseded"), ("valid", "")]
    serve(hall, second)


def test_every_later_run_is_told_the_same_until_it_is_turned_off(
    hall: Hall, registry: Registry
) -> None:
    resource_id = hall.application()
    told = serve(hall, resource_id).extravars["tls"]
    hall.change(resource_id, "deploy", archive=hall.upload(archive("<p>2")))
    assert hall.runs[-1].extravars["tls"] == told
    operate(hall, resource_id, "power_off")
    operate(hall, resource_id, "power_on")
    assert hall.runs[-1].extravars["tls"] == told
    assert states(registry, resource_id) == [("valid", "")]

    assert operate(hall, resource_id, "stop_https") == ["stop_https"]
    assert "tls" not in hall.runs[-1].extravars
    assert states(registry, resource_id) == [("revoked", "cessation_of_operation")]
    (row,) = registry.certificates(resource_id)
    assert "certificate revoked" in registry.verify(row, registry.lists())
    assert sealed(hall, resource_id) == []
    outputs = hall.resource(resource_id).outputs
    assert not {name for name in outputs if name.startswith(("https", "certificate"))}
    hall.change(resource_id, "deploy", archive=hall.upload(archive("<p>3")))
    assert "tls" not in hall.runs[-1].extravars
    for action in ("change_names", "renew", "stop_https"):
        with pytest.raises(NotFound):
            operate(hall, resource_id, action)
    serve(hall, resource_id)


def test_renewed_by_time_and_the_one_before_revoked(hall: Hall, registry: Registry) -> None:
    resource_id = hall.application()
    before = serve(hall, resource_id).extravars["tls"]
    certifying, clock = hall.city.control_plane.certifying, hall.city.clock
    clock.advance(days=59)
    assert certifying.renew_due() == 0
    clock.advance(days=1)
    limin = hall.city.person("limin")
    with hall.city.control_plane.db.read() as session:
        assert len(reports.ending_soon(session, limin, clock())) == 1
    assert certifying.renew_due() == 1
    assert hall.carry_out() == ["renew"]
    after = hall.runs[-1].extravars["tls"]
    assert (after["names"], after["key"] == before["key"]) == (before["names"], False)
    assert states(registry, resource_id) == [("revoked", "superseded"), ("valid", "")]
    with hall.city.control_plane.db.read() as session:
        assert reports.ending_soon(session, limin, clock()) == []
    assert certifying.renew_due() == 0
    assert sealed(hall, resource_id) == [("private_key", "current")]
    assert hall.resource(resource_id).outputs["certificate_serial"] == after["serial"]


def test_what_ends_while_it_is_suspended_is_renewed_when_it_is_resumed(hall: Hall) -> None:
    resource_id = hall.application()
    serve(hall, resource_id)
    operate(hall, resource_id, "power_off")
    hall.city.clock.advance(days=200)
    certifying = hall.city.control_plane.certifying
    assert certifying.renew_due() == 0
    operate(hall, resource_id, "power_on")
    assert certifying.renew_due() == 1
    assert hall.carry_out() == ["renew"]


def test_each_try_of_a_run_is_told_the_same_and_one_that_fails_for_good_goes_back(
    hall: Hall, registry: Registry
) -> None:
    resource_id = hall.application()
    before = serve(hall, resource_id).extravars["tls"]
    plane, clock = hall.city.control_plane, hall.city.clock
    clock.advance(days=60)
    assert plane.certifying.renew_due() == 1
    first = begun(hall)
    assert not plane.delivery.fail(first, "the node is away")
    clock.advance(hours=1)
    second = begun(hall)
    assert second.extravars["tls"] == first.extravars["tls"] != before
    assert states(registry, resource_id) == [("valid", ""), ("pending", "")]
    with plane.db.read() as session:
        (ending,) = reports.ending_soon(session, hall.city.person("limin"), clock())
    assert ending.serial == before["serial"]
    plane.delivery.fail(second, "no pod comes up", final=True)
    assert hall.carry_out() == ["renew"]
    back = hall.runs[-1].extravars
    assert (back["is_undoing"], back["tls"]) == (True, before)
    assert states(registry, resource_id) == [("valid", ""), ("revoked", "superseded")]
    assert sealed(hall, resource_id) == [("private_key", "current")]
    assert plane.certifying.renew_due() == 0
    clock.advance(days=1)
    assert plane.certifying.renew_due() == 1
    assert hall.carry_out() == ["renew"]
    assert [state for state, _ in states(registry, resource_id)] == ["revoked", "revoked", "valid"]


def test_what_was_never_served_is_revoked_and_taken_out_again(
    hall: Hall, registry: Registry
) -> None:
    resource_id = hall.application()
    plane, limin = hall.city.control_plane, hall.city.person("limin")
    plane.operations.operate_resource(limin, resource_id, "serve_https", {"dns_names": NAME})
    plane.delivery.fail(begun(hall), "no pod comes up", final=True)
    assert hall.carry_out() == ["serve_https"]
    assert "tls" not in hall.runs[-1].extravars
    assert states(registry, resource_id) == [("revoked", "superseded")]
    assert (sealed(hall, resource_id), hall.resource(resource_id).state) == ([], "active")
    assert "https_url" not in hall.resource(resource_id).outputs


def test_a_domain_that_moved_is_not_certified_again(hall: Hall, registry: Registry) -> None:
    resource_id = hall.application()
    serve(hall, resource_id)
    plane = hall.city.control_plane
    with plane.db.transaction() as session:
        moved = sa.update(Department).where(Department.code == "civil-affairs")
        session.execute(moved.values(domain="moved.city.example"))
    hall.city.clock.advance(days=61)
    assert plane.certifying.renew_due() == 1
    hall.carry_out()
    assert "not a name of the department's domain" in str(hall.runs[-1].refusal)
    assert (plane.certifying.renew_due(), states(registry, resource_id)) == (0, [("valid", "")])


def test_destroyed_it_is_revoked_and_its_key_forgotten(hall: Hall, registry: Registry) -> None:
    resource_id = hall.application()
    serve(hall, resource_id)
    operations = hall.city.control_plane.operations
    operations.retire_resource(hall.city.person("limin"), resource_id, "低保")
    hall.carry_out()
    assert states(registry, resource_id) == [("valid", "")]
    hall.city.clock.advance(days=7)
    operations.destroy_due()
    assert hall.carry_out() == ["retire"]
    assert states(registry, resource_id) == [("revoked", "cessation_of_operation")]
    (row,) = registry.certificates(resource_id)
    assert "certificate revoked" in registry.verify(row, registry.lists())
    assert sealed(hall, resource_id) == []


def test_without_an_authority_it_is_not_offered(tmp_path: Path, sample_url: str) -> None:
    hall = open_hall(tmp_path, sample_url)
    resource_id = hall.application()
    with pytest.raises(NotFound):
        operate(hall, resource_id, "serve_https", dns_names=NAME)
    clerk = sign_in(create_app(hall.city.control_plane), "limin")
    page = clerk.get(f"/resources/{resource_id}").text
    assert ("/actions/power_off" in page, "/actions/serve_https" in page) == (True, False)
    operations = hall.city.control_plane.operations
    operations.retire_now(hall.city.person("chengang"), resource_id, "低保")
    assert hall.carry_out() == ["retire"]
    hall.city.control_plane.db.dispose()


def test_pages_and_api_show_address_names_and_end(hall: Hall, registry: Registry) -> None:
    resource_id = hall.application()
    clerk, path = sign_in(create_app(hall.city.control_plane), "limin"), f"/resources/{resource_id}"
    page = clerk.get(path).text
    assert f"{path}/actions/serve_https" in page
    assert f"{path}/actions/stop_https" not in page
    form = clerk.get(f"{path}/actions/serve_https")
    assert lint(form.text) == []
    assert 'name="dns_names"' in form.text
    refused = clerk.post(f"{path}/actions/serve_https", dns_names="www.finance.city.example")
    assert (refused.status_code, lint(refused.text)) == (422, [])
    assert "不属于本部门的域名" in refused.text
    clerk.post(f"{path}/actions/serve_https", dns_names=NAME)
    hall.carry_out()
    page = clerk.get(path).text
    assert lint(page) == []
    (row,) = registry.certificates(resource_id)
    for shown in (f"https://{NAME}:30001/", row.serial, "2027-02-22"):
        assert shown in page
    assert f"{path}/actions/serve_https" not in page
    for action in ("change_names", "renew", "stop_https"):
        assert f"{path}/actions/{action}" in page
        assert lint(clerk.get(f"{path}/actions/{action}").text) == []
    assert NAME in clerk.get(f"{path}/actions/change_names").text
    assert row.serial in clerk.get("/certificates?state=valid").text
    told = make_api(hall.city).get("limin", path).json
    assert told["outputs"]["https_url"] == f"https://{NAME}:30001/"
    assert "PRIVATE KEY" not in str(told)
    with hall.city.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Certificate)) == 1
