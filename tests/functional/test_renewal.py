"""Prolonging a lease: by whom, how far, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from controlplane.audit import AuditEvent
from controlplane.errors import EditedMeanwhile, Forbidden, InvalidInput, NotFound, StateConflict
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import add_months
from controlplane.reports.resources import expiring_soon
from tests.factories import City
from tests.functional.concurrently import at_once


def lease(city: City, resource_id: str) -> datetime:
    """The present end of a resource's lease."""
    with city.control_plane.db.read() as session:
        ends_at = session.get_one(Resource, resource_id).expires_at
        assert ends_at is not None
        return ends_at


def renew(city: City, resource_id: str, months: int, login: str = "limin") -> datetime:
    return city.control_plane.leases.renew_resource(
        city.person(login), resource_id, months, lease(city, resource_id)
    )


def renewals(city: City) -> list[dict[str, object]]:
    with city.control_plane.db.read() as session:
        events = sa.select(AuditEvent).where(AuditEvent.event == "resource_renewed")
        return [event.data for event in session.scalars(events)]


def test_a_lease_is_prolonged_from_its_end_and_the_trail_says_by_whom(city: City) -> None:
    resource_id = city.delivered()
    before = lease(city, resource_id)
    city.clock.advance(days=300)
    until = renew(city, resource_id, 12)
    assert until == lease(city, resource_id) == add_months(before, 12)
    assert renewals(city) == [{"months": 12, "expires_at": until.isoformat()}]


def test_the_same_renewal_twice_counts_once(city: City) -> None:
    resource_id = city.delivered()
    seen = lease(city, resource_id)
    limin = city.person("limin")
    send = partial(city.control_plane.leases.renew_resource, limin, resource_id, 6, seen)
    ends = at_once([send] * 4)
    assert set(map(repr, ends)) == {repr(add_months(seen, 6))}
    assert lease(city, resource_id) == add_months(seen, 6)
    assert len(renewals(city)) == 1


def test_a_lapsed_lease_renewed_twice_counts_once_too(city: City) -> None:
    resource_id = city.delivered()
    seen = lease(city, resource_id)
    city.clock.advance(days=400)
    limin = city.person("limin")
    first = city.control_plane.leases.renew_resource(limin, resource_id, 1, seen)
    city.clock.advance(seconds=3)
    assert city.control_plane.leases.renew_resource(limin, resource_id, 1, seen) == first
    assert first > city.clock() + timedelta(days=27)
    assert len(renewals(city)) == 1


def test_a_renewal_of_a_lease_that_is_no_more_what_one_saw_is_told(city: City) -> None:
    resource_id = city.delivered()
    seen = lease(city, resource_id)
    renew(city, resource_id, 6)
    limin = city.person("limin")
    with pytest.raises(EditedMeanwhile):
        city.control_plane.leases.renew_resource(limin, resource_id, 3, seen)
    for nonsense in (datetime.max.replace(tzinfo=seen.tzinfo), seen + timedelta(days=900)):
        with pytest.raises(EditedMeanwhile):
            city.control_plane.leases.renew_resource(limin, resource_id, 3, nonsense)
    assert lease(city, resource_id) == add_months(seen, 6)


@pytest.mark.parametrize(
    ("months", "code"),
    [
        (0, "field_too_small"),
        (-1, "field_too_small"),
        (37, "field_too_large"),
        (10**9, "field_too_large"),
        (25, "lease_too_long"),
    ],
)
def test_beyond_the_services_longest_lease_is_refused(city: City, months: int, code: str) -> None:
    resource_id = city.delivered()
    seen = lease(city, resource_id)
    with pytest.raises(InvalidInput) as refusal:
        renew(city, resource_id, months)
    fault = refusal.value.faults[0]
    assert (fault.code, fault.field) == (code, "months")
    if code == "lease_too_long":
        assert fault.params == {"latest": "2029-11-24", "limit": 24}
    assert lease(city, resource_id) == seen
    assert renewals(city) == []


def test_only_the_departments_own_applicant_renews(city: City) -> None:
    resource_id = city.delivered()
    with pytest.raises(NotFound):
        renew(city, resource_id, 6, login="zhaoguodong")
    for login in ("chengang", "sunli", "zhouwei"):
        with pytest.raises(Forbidden):
            renew(city, resource_id, 6, login=login)
    for login in ("zhangjing", "admin"):
        with pytest.raises(NotFound):
            renew(city, resource_id, 6, login=login)
    assert renewals(city) == []


def test_what_is_being_destroyed_is_not_renewed_but_what_is_stopped_is(city: City) -> None:
    resource_id = city.delivered()
    operations, limin = city.control_plane.operations, city.person("limin")
    operations.operate_resource(limin, resource_id, "power_off", {})
    renew(city, resource_id, 1)  # while its job waits: the cloud has no part in it
    city.deliver()
    renew(city, resource_id, 1)
    operations.retire_resource(limin, resource_id, "低保核对系统")
    with pytest.raises(StateConflict):
        renew(city, resource_id, 1)
    city.deliver()
    operations.cancel_retirement(limin, resource_id)
    renew(city, resource_id, 1)
    assert len(renewals(city)) == 3


def test_what_expires_shows_thirty_days_ahead_until_it_is_renewed(city: City) -> None:
    resource_id = city.delivered()

    def expiring() -> list[str]:
        with city.control_plane.db.read() as session:
            page = expiring_soon(session, city.person("limin"), city.clock())
            return [r.id for r in page.rows]

    city.clock.now = lease(city, resource_id) - timedelta(days=31)
    assert expiring() == []
    city.clock.advance(days=1)
    assert expiring() == [resource_id]
    city.clock.advance(days=45)  # past its end it stays in sight
    assert expiring() == [resource_id]
    renew(city, resource_id, 12)
    assert expiring() == []
