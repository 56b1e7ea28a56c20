"""What the rest of the month will cost, if nothing changes."""

from __future__ import annotations

from controlplane.clock import month_bounds
from controlplane.reports import month as reports
from tests.factories import City


def ahead(city: City, login: str = "sunli") -> tuple[int, int]:
    """(so far, to come) of November 2026 in micro-yuan, as the person sees it."""
    with city.control_plane.db.read() as session:
        subject = city.person(login)
        month = reports.month_of(session, subject, 2026, 11, city.clock())
        return month.micro_yuan, reports.cost_to_come(session, subject, month)


def test_what_is_said_to_come_is_what_it_comes_to(city: City) -> None:
    assert ahead(city) == (0, 0)
    city.delivered()
    city.clock.advance(hours=5)
    so_far, to_come = ahead(city)
    assert 0 < so_far < to_come
    city.clock.now = month_bounds(2026, 11)[1]
    total, nothing = ahead(city)
    assert nothing == 0
    assert abs(total - (so_far + to_come)) <= 4, "each line is rounded once"


def test_a_department_sees_its_own_and_what_was_destroyed_costs_no_more(city: City) -> None:
    resource_id = city.delivered()
    city.delivered("zhaoguodong")
    city.clock.advance(hours=1)
    everybody, own = ahead(city)[1], ahead(city, "limin")[1]
    assert own == everybody // 2
    name = "低保核对系统"
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, name)
    city.deliver()
    assert ahead(city, "limin")[1] == 0
    assert ahead(city)[1] == own
