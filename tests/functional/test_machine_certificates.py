"""The certificate of a server on a machine of its own: in the register from its first run on,
renewed before its end, revoked when all of it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from controlplane.app import create_app
from controlplane.certificates.models import Certificate
from controlplane.credentials.models import Credential
from controlplane.errors import NotFound
from controlplane.reports import certificates as reports
from tests.factories import City
from tests.functional.depot import written
from tests.functional.registry import Registry
from tests.functional.test_machine_orders import (
    BUILT,
    IMAGES,
    claim,
    delivered,
    fail,
    ordered,
    read,
)
from tests.functional.test_machine_orders import city as machine_city  # noqa: F401 - a fixture
from tests.functional.test_ui_pages import lint, sign_in

ADDRESSES = ["172.30.77.20", "10.77.3.9"]
SERVER = {"server_key", "server_certificate"}


@pytest.fixture
def city(machine_city: City) -> City:  # noqa: F811
    return machine_city


@pytest.fixture
def registry(city: City, tmp_path: Path) -> Registry:
    return Registry(city, tmp_path)


def states(registry: Registry, resource_id: str) -> list[tuple[str, str]]:
    return [(row.state, row.reason) for row in registry.certificates(resource_id)]


def sealed(city: City, machine_id: str) -> set[tuple[str, str]]:
    with city.control_plane.db.read() as session:
        query = sa.select(Credential.name, Credential.state)
        rows = session.execute(query.where(Credential.resource_id == machine_id)).all()
        return {(name, state) for name, state in rows if name in SERVER}


def told_of(city: City, service: str, database_id: str) -> Any:
    """`machine` of a run that has nothing to do with certificates."""
    city.control_plane.recovery.back_up_now(city.person("limin"), database_id)
    run = claim(city, "backup", service)
    city.control_plane.delivery.fail(run, "asked only", final=True)
    assert "tls" not in run.extravars
    return run.extravars["machine"]


@pytest.mark.parametrize("service", IMAGES)
def test_it_stands_in_the_register_and_is_renewed_by_time(
    city: City, registry: Registry, service: str
) -> None:
    database_id, machine_id = delivered(city, service)
    (row,) = registry.certificates(database_id)
    assert (row.state, row.names) == ("valid", ADDRESSES)
    before = told_of(city, service, database_id)
    assert before["server_certificate"].startswith(row.pem)
    plane, clock, limin = city.control_plane, city.clock, city.person("limin")
    clock.advance(days=1169)
    assert plane.certifying.renew_due() == 0
    clock.advance(days=1)
    with plane.db.read() as session:
        assert len(reports.ending_soon(session, limin, clock())) == 1
    assert plane.certifying.renew_due() == 1
    run = claim(city, "renew", service)
    assert run.login is not None
    tls = run.extravars["tls"]
    assert tls["names"] == ADDRESSES
    assert tls["key"] != before["server_key"] == run.extravars["machine"]["server_key"]
    plane.delivery.complete(run, {})
    assert states(registry, database_id) == [("revoked", "superseded"), ("valid", "")]
    after = told_of(city, service, database_id)
    assert (after["server_key"], after["server_certificate"]) == (tls["key"], tls["certificate"])
    assert after["admin_password"] == before["admin_password"]
    assert sealed(city, machine_id) == {(name, "current") for name in SERVER}
    assert plane.certifying.renew_due() == 0
    new = registry.certificates(database_id)[-1]
    registry.authority.sign_root_list(clock())
    assert registry.verify(new, registry.lists()).endswith("leaf.pem: OK\n")
    assert "certificate revoked" in registry.verify(
        registry.certificates(database_id)[0], registry.lists()
    )


def test_a_renewal_that_fails_goes_back_to_the_one_before_and_is_tried_again(
    city: City, registry: Registry
) -> None:
    database_id, machine_id = delivered(city)
    before = told_of(city, "postgresql", database_id)
    limin, operations = city.person("limin"), city.control_plane.operations
    operations.operate_resource(limin, database_id, "renew", {})
    first = claim(city, "renew", "postgresql")
    assert not city.control_plane.delivery.fail(first, "the machine is away")
    city.clock.advance(minutes=11)
    second = claim(city, "renew", "postgresql")
    assert second.extravars["tls"] == first.extravars["tls"]
    assert states(registry, database_id) == [("valid", ""), ("pending", "")]
    city.control_plane.delivery.fail(second, "the machine is gone", final=True)
    back = claim(city, "renew", "postgresql")
    assert back.extravars["is_undoing"]
    assert "tls" not in back.extravars
    assert back.extravars["machine"] == before
    city.control_plane.delivery.complete(back, {})
    assert states(registry, database_id) == [("valid", ""), ("revoked", "superseded")]
    assert sealed(city, machine_id) == {(name, "current") for name in SERVER}
    operations.operate_resource(limin, database_id, "renew", {})
    city.control_plane.delivery.complete(claim(city, "renew", "postgresql"), {})
    assert [state for state, _ in states(registry, database_id)] == ["revoked", "revoked", "valid"]


def test_a_renewal_leaves_the_old_password_its_time(city: City) -> None:
    database_id, _ = delivered(city)
    limin, operations = city.person("limin"), city.control_plane.operations
    for action in ("rotate_password", "renew"):
        operations.operate_resource(limin, database_id, action, {})
        city.control_plane.delivery.complete(claim(city, action, "postgresql"), {})
    city.clock.advance(hours=24)
    assert city.control_plane.operations.end_grace() == 1
    assert claim(city, "end_old_password", "postgresql").extravars["previous_secrets"]


def test_one_that_never_came_into_service_is_revoked(city: City, registry: Registry) -> None:
    _, database_id, _ = ordered(city)
    city.control_plane.delivery.complete(claim(city, "provision", "vm"), BUILT)
    fail(city, "provision", "postgresql")
    assert states(registry, database_id) == [("revoked", "superseded")]


def test_destroyed_it_is_revoked(city: City, registry: Registry) -> None:
    database_id, _ = delivered(city)
    city.control_plane.operations.retire_now(city.person("chengang"), database_id, "核对")
    last = claim(city, "backup", "postgresql")
    city.control_plane.delivery.complete(last, written(last, city.clock()))
    assert states(registry, database_id) == [("valid", "")]
    city.control_plane.delivery.complete(claim(city, "retire", "postgresql"), {})
    assert states(registry, database_id) == [("revoked", "cessation_of_operation")]


def test_one_signed_before_there_was_a_place_for_it_comes_into_the_register(
    city: City, registry: Registry
) -> None:
    database_id, _ = delivered(city)
    (before,) = registry.certificates(database_id)
    with city.control_plane.db.transaction() as session:
        session.execute(sa.delete(Certificate))
    for _run in range(2):
        told_of(city, "postgresql", database_id)
    (row,) = registry.certificates(database_id)
    kept = (row.serial, row.issuer, row.names, row.key_id, row.not_after, row.state)
    was = (before.serial, before.issuer, before.names, before.key_id, before.not_after, "valid")
    assert kept == was
    city.clock.advance(days=1170)
    assert city.control_plane.certifying.renew_due() == 1


def test_its_page_shows_it_with_a_way_to_renew_it_and_a_shared_one_has_none(
    city: City, registry: Registry
) -> None:
    database_id, _ = delivered(city)
    (row,) = registry.certificates(database_id)
    clerk = sign_in(create_app(city.control_plane), "limin")
    page = clerk.get(f"/resources/{database_id}").text
    assert lint(page) == []
    assert row.serial in page
    assert page.count(f"/resources/{database_id}/actions/renew") == 1
    assert lint(clerk.get(f"/resources/{database_id}/actions/renew").text) == []
    assert row.serial in clerk.get("/certificates?state=valid").text
    service = city.control_plane.catalogue.of(read(city, database_id))
    assert not service.offers(service.actions["renew"], {"plan": {"code": "small"}}, {})
    with pytest.raises(NotFound):
        city.control_plane.operations.operate_resource(
            city.person("zhaoguodong"), database_id, "renew", {}
        )
