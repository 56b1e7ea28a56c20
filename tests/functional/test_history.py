"""What was held at the end of each day: against intervals that begin and end where it matters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from controlplane.clock import LOCAL_ZONE, from_epoch, month_bounds
from controlplane.errors import NotFound
from controlplane.metering.models import UsageInterval
from controlplane.reports.directory import find_department
from controlplane.reports.history import History, department_history, outlooks, pools_history
from controlplane.reports.pools import list_pools
from tests.factories import City
from tests.functional.test_query_budget import statements

DAYS = 30


def at(day: int, hour: int, minute: int = 0, second: int = 0, month: int = 11) -> int:
    """Epoch seconds of a local time in 2026."""
    return int(datetime(2026, month, day, hour, minute, second, tzinfo=LOCAL_ZONE).timestamp())


def meter(city: City, resource_id: str, *spans: tuple[int, int, int | None]) -> None:
    """Replaces the resource's intervals of cores by (quantity, t0, t1), and drops its others."""
    with city.control_plane.db.transaction() as session:
        of_resource = UsageInterval.resource_id == resource_id
        row = session.scalars(
            sa.select(UsageInterval).where(of_resource, UsageInterval.item == "vcpu")
        ).one()
        common = {
            "resource_id": resource_id,
            "department_id": row.department_id,
            "request_number": row.request_number,
            "item": "vcpu",
            "learned_at": row.learned_at,
        }
        session.execute(sa.delete(UsageInterval).where(of_resource))
        for quantity, t0, t1 in spans:
            session.execute(
                sa.insert(UsageInterval).values(**common, quantity=quantity, t0=t0, t1=t1)
            )


def of_pools(city: City) -> History:
    with city.control_plane.db.read() as session:
        return pools_history(session, list_pools(session), city.clock(), DAYS)


def of_department(city: City, code: str, login: str = "sunli", month: int = 11) -> History:
    with city.control_plane.db.read() as session:
        department = find_department(session, city.department_id(code))
        return department_history(
            session, city.person(login), department, 2026, month, city.clock()
        )


def cores(history: History, place: str) -> dict[str, int]:
    """{month-day: cores} of the days on which any were held."""
    series = next(s for s in history.series[place] if s.dimension == "vcpu")
    days = [from_epoch(t).astimezone(LOCAL_ZONE).strftime("%m-%d") for t in history.instants]
    return {day: held for day, held in zip(days, series.amounts, strict=True) if held}


def test_instants_are_the_ends_of_days_and_now(city: City) -> None:
    instants = of_pools(city).instants
    assert len(instants) == DAYS
    assert instants[-1] == int(city.clock().timestamp())
    assert instants[-2] == at(23, 23, 59, 59)
    assert instants[0] == at(26, 23, 59, 59, month=10)


def test_a_day_counts_what_is_held_at_its_last_second(city: City) -> None:
    resource_id = city.delivered()
    meter(
        city,
        resource_id,
        (1, at(1, 0, month=9), at(27, 0, month=10)),  # from before the window to its first midnight
        (4, at(10, 23, 59, 59), at(12, 0)),  # from the last second of a day to midnight
        (8, at(15, 8), at(15, 20)),  # within a day
        (2, at(22, 9), at(24, 9, 30)),  # until this very second
    )
    assert cores(of_pools(city), "internet-a") == {
        "10-26": 1,
        "11-10": 4,
        "11-11": 4,
        "11-22": 2,
        "11-23": 2,
    }


def test_today_is_what_is_held_now(city: City) -> None:
    resource_id = city.delivered()
    meter(city, resource_id, (2, at(24, 9), at(24, 9, 10)), (4, at(24, 9, 30), None))
    assert cores(of_pools(city), "internet-a") == {"11-24": 4}


def test_pools_are_told_apart_and_added_up(city: City) -> None:
    first, second = city.delivered(), city.delivered(system_name="第二个")
    third = city.delivered(system_name="专网的", zone="office")
    for resource_id, quantity in ((first, 1), (second, 2), (third, 16)):
        meter(city, resource_id, (quantity, at(23, 12), None))
    history = of_pools(city)
    assert cores(history, "internet-a") == {"11-23": 3, "11-24": 3}
    assert cores(history, "office-a") == {"11-23": 16, "11-24": 16}
    assert cores(history, "internet-b") == {}
    bound = next(s.bound for s in history.series["internet-a"] if s.dimension == "vcpu")
    assert bound == 800


def test_a_department_is_its_whole_subtree_beside_its_own_quota(city: City) -> None:
    own = city.delivered("limin")
    meter(city, own, (4, at(20, 12), at(22, 12)))
    below = city.delivered("limin", system_name="外网的")
    meter(city, below, (1, at(21, 12), None))
    held = of_department(city, "civil-affairs")
    assert cores(held, "internet") == {"11-20": 4, "11-21": 5, "11-22": 1, "11-23": 1, "11-24": 1}
    assert cores(of_department(city, "city"), "internet") == cores(held, "internet")
    bounds = {s.dimension: s.bound for s in held.series["internet"]}
    assert bounds["vcpu"] == 40
    # a quota and nothing held: a line at nothing
    assert cores(held, "office") == {}
    assert "classified" not in held.series


def test_a_past_month_ends_with_its_last_day_and_one_to_come_has_no_days(city: City) -> None:
    meter(city, city.delivered(), (4, at(20, 12, month=9), None))
    october = of_department(city, "civil-affairs", month=10)
    assert len(october.instants) == 31
    assert october.instants[-1] == int(month_bounds(2026, 10)[1].timestamp()) - 1
    assert set(cores(october, "internet").values()) == {4}
    december = of_department(city, "civil-affairs", month=12)
    assert december.instants == ()
    assert cores(december, "internet") == {}


def test_another_departments_history_is_not_there(city: City) -> None:
    with pytest.raises(NotFound):
        of_department(city, "civil-affairs", login="zhaoguodong")
    with pytest.raises(NotFound):
        of_department(city, "civil-affairs", login="limin", month=13)
    assert of_department(city, "civil-affairs", login="limin").instants


def test_the_outlook_rests_on_days_since_the_pool_was_first_used(city: City) -> None:
    city.clock.now = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC)  # the day's last second
    resource_id = city.delivered()
    with city.control_plane.db.read() as session:
        pool = next(p for p in list_pools(session) if p.code == "internet-a")
    meter(city, resource_id, (80, at(19, 12), None))
    assert outlooks(of_pools(city), pool)["vcpu"] is None

    steps = [(80 * (i + 1), at(18 + i, 12), at(19 + i, 12)) for i in range(6)]
    meter(city, resource_id, *steps, (560, at(24, 12), None))
    found = outlooks(of_pools(city), pool)["vcpu"]
    assert found is not None
    assert found.per_day == 80
    assert found.warning_on is not None
    assert found.warning_on.isoformat() == "2026-11-25"
    assert found.full_on is not None
    assert found.full_on.isoformat() == "2026-11-27"


def test_a_history_is_one_query_however_much_was_held(city: City) -> None:
    for i in range(3):
        city.delivered(system_name=f"系统{i}")
    person = city.person("sunli")
    department_id = city.department_id("city")
    with city.control_plane.db.read() as session:
        pools = list_pools(session)
        department = find_department(session, department_id)
        with statements(city) as sent:
            pools_history(session, pools, city.clock(), DAYS)
        assert len(sent) == 1
        with statements(city) as sent:
            department_history(session, person, department, 2026, 11, city.clock())
        assert len(sent) == 2  # what was held, and the quotas
