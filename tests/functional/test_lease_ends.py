"""Leases that nobody renews: suspended, retired, brought back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from controlplane.app import create_app
from controlplane.audit import AuditEvent
from controlplane.errors import LeaseEnded
from controlplane.provisioning.models import Resource
from tests.factories import City
from tests.functional.concurrently import at_once
from tests.functional.test_renewal import lease, renew
from tests.functional.test_ui_pages import lint, sign_in


def state(city: City, resource_id: str) -> str:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id).state


def events(city: City, name: str) -> int:
    with city.control_plane.db.read() as session:
        found = session.scalars(sa.select(AuditEvent).where(AuditEvent.event == name)).all()
        return len(found)


def after_the_end(city: City, resource_id: str, days: int) -> int:
    """Lets that many days pass since the lease's end; how many resources the tick acted on."""
    city.clock.now = lease(city, resource_id) + timedelta(days=days)
    return city.control_plane.leases.end_leases()


def test_tolerated_then_suspended_then_retired_then_destroyed(city: City) -> None:
    resource_id = city.delivered()
    assert after_the_end(city, resource_id, 6) == 0
    assert after_the_end(city, resource_id, 7) == 1
    assert city.deliver() == ["power_off"]
    assert state(city, resource_id) == "stopped"
    assert city.control_plane.leases.end_leases() == 0
    assert after_the_end(city, resource_id, 29) == 0
    assert after_the_end(city, resource_id, 30) == 1
    assert state(city, resource_id) == "retiring"
    city.clock.advance(days=6)
    assert city.control_plane.operations.destroy_due() == 0
    city.clock.advance(days=1)
    assert city.control_plane.operations.destroy_due() == 1
    assert city.deliver() == ["retire"]
    assert (events(city, "lease_suspended"), events(city, "resource_retiring")) == (1, 1)


def test_each_step_happens_once_however_many_ticks_come_at_once(city: City) -> None:
    resource_id = city.delivered()
    city.clock.now = lease(city, resource_id) + timedelta(days=7)
    assert sorted(map(repr, at_once([city.control_plane.leases.end_leases] * 4))) == [
        "0",
        "0",
        "0",
        "1",
    ]
    assert city.deliver() == ["power_off"]
    assert events(city, "lease_suspended") == 1


def test_a_renewal_brings_a_suspended_one_back(city: City) -> None:
    resource_id = city.delivered()
    after_the_end(city, resource_id, 7)
    city.deliver()
    operations, limin = city.control_plane.operations, city.person("limin")
    with pytest.raises(LeaseEnded):
        operations.operate_resource(limin, resource_id, "power_on", {})
    renew(city, resource_id, 6)
    assert city.deliver() == ["power_on"]
    assert state(city, resource_id) == "active"
    assert city.control_plane.leases.end_leases() == 0


def test_a_renewal_brings_back_what_the_lease_retired(city: City) -> None:
    resource_id = city.delivered()
    after_the_end(city, resource_id, 7)
    city.deliver()
    after_the_end(city, resource_id, 30)
    with pytest.raises(LeaseEnded):
        city.control_plane.operations.cancel_retirement(city.person("limin"), resource_id)
    renew(city, resource_id, 1)
    city.deliver()
    assert state(city, resource_id) == "active"
    city.clock.advance(days=8)
    assert city.control_plane.operations.destroy_due() == 0


def test_what_its_people_had_stopped_stays_stopped(city: City) -> None:
    resource_id = city.delivered()
    limin = city.person("limin")
    city.control_plane.operations.operate_resource(limin, resource_id, "power_off", {})
    city.deliver()
    assert after_the_end(city, resource_id, 7) == 1
    renew(city, resource_id, 1)
    assert city.deliver() == []
    assert state(city, resource_id) == "stopped"


def test_a_protected_one_is_suspended_and_never_destroyed_by_time(city: City) -> None:
    resource_id = city.delivered()
    city.control_plane.protecting.protect_resource(city.person("limin"), resource_id)
    after_the_end(city, resource_id, 7)
    city.deliver()
    assert after_the_end(city, resource_id, 400) == 0
    assert state(city, resource_id) == "stopped"


def test_the_page_says_what_will_happen_when(city: City) -> None:
    resource_id = city.delivered()
    browsing = sign_in(create_app(city.control_plane), "limin")
    assert "不续期则" not in browsing.get(f"/resources/{resource_id}").text
    city.clock.now = lease(city, resource_id) - timedelta(days=7)
    browsing = sign_in(create_app(city.control_plane), "limin")
    page = browsing.get(f"/resources/{resource_id}").text
    assert lint(page) == []
    assert "2027-11-24 到期；不续期则 2027-12-01 停用，2027-12-24 起待销毁" in page
