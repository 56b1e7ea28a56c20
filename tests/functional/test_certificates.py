"""Certificates through the whole pipeline; what is signed and revoked is judged by `openssl`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509

from controlplane.app import create_app
from controlplane.audit import AuditEvent
from controlplane.certificates.authority import new_key
from controlplane.certificates.models import Certificate
from controlplane.cli import main
from controlplane.errors import ConfigurationMissing, InvalidInput
from controlplane.metering.models import UsageInterval
from controlplane.pipeline import Ask
from controlplane.reports import certificates
from controlplane.reports.waiting import waiting_for
from controlplane.tenancy.models import Department
from tests.functional.api_fixtures import make_api
from tests.functional.registry import NAME, Registry, make_request, open_registry, openssl
from tests.functional.test_connections import operator
from tests.functional.test_ui_pages import lint, sign_in


@pytest.fixture
def registry(tmp_path: Path, sample_url: str) -> Iterator[Registry]:
    made = open_registry(tmp_path, sample_url)
    yield made
    made.control_plane.db.dispose()


def events(registry: Registry, resource_id: str) -> list[str]:
    number = registry.resource(resource_id).number
    with registry.control_plane.db.read() as session:
        query = sa.select(AuditEvent.event).where(AuditEvent.object_id == number)
        return list(session.scalars(query.order_by(AuditEvent.id)))


def shown(registry: Registry, resource_id: str, reason: str = "") -> dict[str, str]:
    limin = registry.city.person("limin")
    connection = registry.control_plane.connections.show(limin, resource_id, reason)
    return {snippet.code: text for snippet, text in connection.snippets} | dict(connection.secrets)


def faults(registry: Registry, login: str = "limin", **form: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        registry.order(login, **form)
    return [(f.code, f.field) for f in refused.value.faults]


def test_ordered_approved_signed_metered_and_verified(registry: Registry) -> None:
    resource_id = registry.issued(dns_names=f"{NAME}\napi.civil-affairs.city.example")
    (row,) = registry.certificates(resource_id)
    registry.control_plane.certifying.refresh_lists()
    assert registry.verify(row, registry.lists()).endswith("leaf.pem: OK\n")
    said = openssl("x509", "-in", str(registry.folder / "openssl/leaf.pem"), "-noout", "-text")
    assert f"DNS:{NAME}, DNS:api.civil-affairs.city.example" in said
    assert "CA:FALSE" in said
    assert "/pki/issuing-1.crl" in said
    given = shown(registry, resource_id)
    key = registry.folder / "server.key"
    key.write_text(given["private_key"])
    public = openssl("pkey", "-in", str(key), "-pubout")
    assert public == openssl(
        "x509", "-in", str(registry.folder / "openssl/leaf.pem"), "-noout", "-pubkey"
    )
    with pytest.raises(InvalidInput):
        shown(registry, resource_id)  # again only for a reason
    with registry.control_plane.db.read() as session:
        (interval,) = session.scalars(
            sa.select(UsageInterval).where(UsageInterval.resource_id == resource_id)
        )
        assert (interval.item, interval.quantity, interval.t1) == ("certificates", 1, None)
    assert {"certificate_issued", "request_fulfilled"} <= set(events(registry, resource_id))


def test_no_run_is_told_a_private_key(registry: Registry) -> None:
    registry.issued()
    run = registry.runs[-1]
    assert run.extravars["certificate"] == {"names": [NAME], "addresses": []}
    assert "PRIVATE KEY" not in repr(run)
    assert run.extravars["secrets"] == {}


def test_a_departments_own_request_keeps_its_key_with_it(registry: Registry) -> None:
    key = new_key()
    resource_id = registry.issued(
        dns_names="", certificate_request=make_request(common=NAME, key=key)
    )
    (row,) = registry.certificates(resource_id)
    signed = x509.load_pem_x509_certificate(row.pem.encode())
    assert signed.public_key() == key.public_key()
    given = shown(registry, resource_id)
    assert "private_key" not in given
    assert "私钥在贵部门" in given["key"]


def test_revoked_with_its_reason_is_refused_by_openssl(registry: Registry) -> None:
    resource_id, other_id = registry.issued(), registry.issued(system_name="另一个")
    with pytest.raises(InvalidInput):
        registry.operate(resource_id, "revoke")
    with pytest.raises(InvalidInput):
        registry.operate(resource_id, "revoke", revocation_reason="boredom")
    assert registry.operate(resource_id, "revoke", revocation_reason="key_compromise") == ["revoke"]
    (row,), (good,) = registry.certificates(resource_id), registry.certificates(other_id)
    lists = registry.lists()
    assert "certificate revoked" in registry.verify(row, lists)
    assert registry.verify(good, lists).endswith("leaf.pem: OK\n")
    told = openssl("crl", "-in", str(registry.folder / "openssl/issuing-1.crl.pem"), "-text")
    assert "Key Compromise" in told
    assert registry.resource(resource_id).state == "stopped"
    with pytest.raises(InvalidInput):  # what is revoked cannot be resumed
        registry.operate(resource_id, "power_on")
    assert registry.operate(resource_id, "reissue") == ["reissue"]
    old, new = registry.certificates(resource_id)
    assert (old.state, new.state) == ("revoked", "valid")
    assert old.key_id != new.key_id
    assert registry.verify(new, registry.lists()).endswith("leaf.pem: OK\n")
    assert events(registry, resource_id).count("certificate_revoked") == 1


def test_a_leaked_key_of_the_departments_own_is_not_certified_again(registry: Registry) -> None:
    request = make_request(NAME, key=new_key())
    resource_id = registry.issued(certificate_request=request)
    registry.operate(resource_id, "revoke", revocation_reason="key_compromise")
    with pytest.raises(InvalidInput) as refused:
        registry.operate(resource_id, "reissue")
    assert [f.code for f in refused.value.faults] == ["certificate_key_compromised"]
    assert faults(registry, certificate_request=request) == [
        ("certificate_key_compromised", "certificate_request")
    ]
    registry.operate(
        resource_id, "reissue_with_request", certificate_request=make_request(NAME, key=new_key())
    )
    assert [r.state for r in registry.certificates(resource_id)] == ["revoked", "valid"]


def test_suspended_is_on_the_list_until_resumed(registry: Registry) -> None:
    resource_id = registry.issued()
    registry.operate(resource_id, "power_off")
    (row,) = registry.certificates(resource_id)
    assert "certificate revoked" in registry.verify(row, registry.lists())
    registry.operate(resource_id, "power_on")
    assert registry.verify(row, registry.lists()).endswith("leaf.pem: OK\n")
    registry.operate(resource_id, "power_off")
    registry.operate(resource_id, "reissue")
    states = [(r.state, r.reason) for r in registry.certificates(resource_id)]
    assert states == [("revoked", "superseded"), ("valid", "")]


def test_retired_is_suspended_then_revoked_and_its_key_forgotten(registry: Registry) -> None:
    resource_id = registry.issued()
    operations, limin = registry.control_plane.operations, registry.city.person("limin")
    operations.retire_resource(limin, resource_id, "门户")
    assert registry.carry_out() == ["power_off"]
    registry.city.clock.advance(days=7)
    assert operations.destroy_due() == 1
    assert registry.carry_out() == ["retire"]
    (row,) = registry.certificates(resource_id)
    assert (row.state, row.reason) == ("revoked", "cessation_of_operation")
    assert "certificate revoked" in registry.verify(row, registry.lists())


def test_renewed_once_before_its_end_and_both_hold(registry: Registry) -> None:
    resource_id = registry.issued(lease_months=24)
    certifying, clock = registry.control_plane.certifying, registry.city.clock
    first = shown(registry, resource_id)["private_key"]
    clock.advance(days=334)
    assert certifying.renew_due() == 0
    clock.advance(days=1)
    assert certifying.renew_due() == 1
    assert certifying.renew_due() == 0  # its job waits
    assert registry.carry_out() == ["renew"]
    assert certifying.renew_due() == 0
    old, new = registry.certificates(resource_id)
    assert new.not_after - old.not_after == timedelta(days=335)
    certifying.refresh_lists()
    for row in (old, new):
        assert registry.verify(row, registry.lists()).endswith("leaf.pem: OK\n")
    assert shown(registry, resource_id)["private_key"] != first
    clock.advance(days=30)
    assert registry.control_plane.operations.end_grace() == 1
    assert registry.carry_out() == ["end_old_key"]


def test_a_renewal_that_cannot_be_is_tried_once_a_day(registry: Registry) -> None:
    resource_id = registry.issued(lease_months=24)
    certifying, clock = registry.control_plane.certifying, registry.city.clock
    with registry.control_plane.db.transaction() as session:
        session.execute(
            sa.update(Department)
            .where(Department.code == "civil-affairs")
            .values(domain="moved.city.example")
        )
    clock.advance(days=340)
    assert certifying.renew_due() == 1
    assert registry.carry_out() == []
    assert "not a name of the department's domain" in str(registry.runs[-1].refusal)
    assert certifying.renew_due() == 0
    clock.advance(days=1)
    assert certifying.renew_due() == 1
    assert len(registry.certificates(resource_id)) == 1


def test_an_end_that_nobody_has_put_off_is_on_the_workbench_then_at_the_bell(
    registry: Registry,
) -> None:
    resource_id = registry.issued(lease_months=24)
    (row,) = registry.certificates(resource_id)
    clock = registry.city.clock

    def told(login: str = "limin") -> tuple[list[str], int]:
        who, now = registry.city.person(login), clock()
        with registry.control_plane.db.read() as session:
            ending = certificates.ending_soon(session, who, now)
            return [each.serial for each in ending], waiting_for(session, who, now).ending

    clock.now = row.not_after - timedelta(days=31)
    assert told() == ([], 0)
    clock.advance(days=1)
    assert told() == ([row.serial], 0)
    clock.advance(days=23)
    assert told() == ([row.serial], 1)
    assert told("zhaoguodong") == ([], 0)
    client = sign_in(create_app(registry.control_plane), "limin")
    assert "证书即将到期" in client.get("/").text
    assert registry.control_plane.certifying.renew_due() == 1
    registry.carry_out()
    assert told() == ([], 0)


def test_names_are_changed_by_an_approved_request(registry: Registry) -> None:
    resource_id = registry.issued()
    city = registry.city
    wanted = {"dns_names": "new.civil-affairs.city.example"}
    ask = Ask("certificate", "change", "", wanted, resource_id=resource_id)
    city.decide(
        "zhangjing", registry.control_plane.pipeline.submit_request(city.person("limin"), ask)
    )
    assert registry.carry_out() == ["change"]
    assert [row.names for row in registry.certificates(resource_id)] == [
        [NAME],
        ["new.civil-affairs.city.example"],
    ]


def test_what_is_not_the_departments_is_refused_with_every_fault(registry: Registry) -> None:
    assert faults(registry, dns_names="www.finance.city.example\n*.x", ip_addresses="8.8.8.8") == [
        ("certificate_name_foreign", "dns_names"),
        ("certificate_wildcard", "dns_names"),
        ("certificate_address_foreign", "ip_addresses"),
    ]
    assert faults(registry, dns_names="") == [("certificate_without_names", "dns_names")]


def test_a_domain_that_changes_hands_before_the_signing_is_not_signed(registry: Registry) -> None:
    request_id = registry.order()
    with registry.control_plane.db.transaction() as session:
        session.execute(
            sa.update(Department).where(Department.code == "civil-affairs").values(domain=None)
        )
    registry.city.decide("zhangjing", request_id)
    assert registry.carry_out() == []
    assert "has no domain yet" in str(registry.runs[-1].refusal)
    with registry.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Certificate)) == 0


def test_lists_are_signed_anew_each_day_with_a_growing_number(registry: Registry) -> None:
    certifying, clock = registry.control_plane.certifying, registry.city.clock
    assert [certifying.refresh_lists(), certifying.refresh_lists()] == [1, 0]
    first = x509.load_der_x509_crl(registry.lists()["issuing-1.crl"])
    clock.advance(days=1)
    assert certifying.refresh_lists() == 1
    second = x509.load_der_x509_crl(registry.lists()["issuing-1.crl"])
    numbers = [
        crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for crl in (first, second)
    ]
    assert numbers == [1, 2]
    assert second.next_update_utc is not None
    assert second.next_update_utc == clock() + timedelta(days=7)


def test_the_issuing_authority_is_changed_and_what_it_signed_stays_good(registry: Registry) -> None:
    old_id = registry.issued()
    authority, now = registry.authority, registry.city.clock()
    assert authority.add_issuing(now) == "issuing-2"
    new_id = registry.issued(system_name="第二")
    registry.operate(old_id, "revoke", revocation_reason="superseded")
    registry.control_plane.certifying.refresh_lists()
    (old,), (new,) = registry.certificates(old_id), registry.certificates(new_id)
    assert (old.issuer, new.issuer) == ("issuing-1", "issuing-2")
    assert "certificate revoked" in registry.verify(old, registry.lists("issuing-1"))
    assert registry.verify(new, registry.lists("issuing-2")).endswith("leaf.pem: OK\n")


def test_the_roots_key_may_lie_elsewhere(registry: Registry) -> None:
    (registry.authority.folder / "root.key").unlink()
    resource_id = registry.issued()
    assert registry.operate(resource_id, "revoke", revocation_reason="superseded") == ["revoke"]
    with pytest.raises(ConfigurationMissing, match=r"root\.key"):
        registry.authority.add_issuing(registry.city.clock())


def test_keys_are_for_their_owner_only(registry: Registry) -> None:
    folder = registry.authority.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    keys = sorted(folder.glob("*.key"))
    assert [key.name for key in keys] == ["issuing-1.key", "root.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}


def test_an_authority_is_not_made_twice(registry: Registry) -> None:
    before = registry.authority.root_pem
    with pytest.raises(ConfigurationMissing, match="holds an authority"):
        registry.authority.create("Another", registry.city.clock())
    assert registry.authority.root_pem == before


def test_the_command_line_makes_and_shows_it(registry: Registry, tmp_path: Path) -> None:
    assert main.commands["ca"]
    shown = operator(registry.city, "ca", "show")
    assert "issuing-1" in shown
    assert "its key is here, signs now" in shown


def test_certificates_and_chain_are_public_and_other_labels_are_not(registry: Registry) -> None:
    client = create_app(registry.control_plane).test_client()
    root = client.get("/pki/root.crt")
    assert (root.status_code, root.content_type) == (200, "application/pkix-cert")
    assert x509.load_der_x509_certificate(root.data).subject is not None
    chain = client.get("/pki/chain.pem")
    assert len(x509.load_pem_x509_certificates(chain.data)) == 2
    registry.control_plane.certifying.refresh_lists()
    for label in ("root", "issuing-1"):
        fetched = client.get(f"/pki/{label}.crl")
        assert (fetched.status_code, fetched.content_type) == (200, "application/pkix-crl")
        assert fetched.data == registry.lists()[f"{label}.crl"]
    for path in ("/pki/root.key", "/pki/issuing-9.crl", "/pki/..%2Fsecret_key.crt"):
        assert client.get(path).status_code == 404
    assert client.get("/certificates").status_code == 302


def test_pages_and_api_show_what_is_ones_own(registry: Registry) -> None:
    resource_id = registry.issued()
    registry.control_plane.certifying.refresh_lists()
    (row,) = registry.certificates(resource_id)
    app = create_app(registry.control_plane)
    clerk = sign_in(app, "limin")
    for path in (f"/resources/{resource_id}", "/certificates", "/catalogue/certificate/apply"):
        page = clerk.get(path)
        assert page.status_code == 200
        assert lint(page.text) == []
    shown_page = clerk.get(f"/resources/{resource_id}").text
    assert "/actions/revoke" in shown_page
    assert "账号与设置" not in shown_page
    assert row.serial in clerk.get("/certificates").text
    assert NAME in clerk.get("/certificates?q=civil&state=valid").text
    assert row.serial not in clerk.get("/certificates?state=revoked").text
    form = clerk.get("/catalogue/certificate/apply").text
    assert 'name="certificate_request"' in form
    assert "revocation_reason" not in form
    pem = clerk.get(f"/certificates/{row.serial}.pem")
    assert len(x509.load_pem_x509_certificates(pem.data)) == 2
    stranger = sign_in(app, "zhaoguodong")
    assert row.serial not in stranger.get("/certificates").text
    assert stranger.get(f"/certificates/{row.serial}.pem").status_code == 404
    api = make_api(registry.city)
    assert api.get("limin", "/certificates").json["items"][0]["serial"] == row.serial
    assert api.get("limin", f"/certificates/{row.serial}").json["state"] == "valid"
    assert api.get("zhaoguodong", f"/certificates/{row.serial}").status_code == 404
    assert api.get("sunli", "/certificates").status_code == 403
