"""What was held day by day, over the API."""

from __future__ import annotations

import pytest

from tests.factories import City
from tests.functional.api_fixtures import Api, make_api


@pytest.fixture
def api(city: City) -> Api:
    return make_api(city)


def test_a_pools_history_its_outlook_and_what_fits(api: Api) -> None:
    api.delivered()
    first = api.get("chengang", "/pools/internet-a/history").json
    assert len(first["instants"]) == 30
    assert first["instants"][-1] == "2026-11-24T01:30:00Z"
    assert first["instants"][-2] == "2026-11-23T15:59:59Z"
    cores = next(s for s in first["series"] if s["dimension"] == "vcpu")
    assert cores == {"dimension": "vcpu", "bound": 800, "amounts": [0] * 29 + [1]}
    assert first["outlooks"] == []
    large = next(f for f in first["what_fits"] if f["plan"] == "large")
    assert (large["count"], large["short_of"]) == (149, "memory_mib")

    api.city.clock.advance(days=10)
    later = api.get("chengang", "/pools/internet-a/history?days=14").json
    assert len(later["instants"]) == 14
    outlook = next(o for o in later["outlooks"] if o["dimension"] == "vcpu")
    assert outlook == {
        "dimension": "vcpu",
        "change_per_day": 0.0,
        "warning_on": None,
        "full_on": None,
    }


def test_a_departments_history_by_zone(api: Api) -> None:
    api.delivered()
    department = api.city.department_id("civil-affairs")
    found = api.get("limin", f"/months/2026-11/departments/{department}/history").json
    assert found["department"]["code"] == "civil-affairs"
    assert len(found["instants"]) == 24
    internet = next(z for z in found["zones"] if z["zone"] == "internet")
    cores = next(s for s in internet["series"] if s["dimension"] == "vcpu")
    assert cores == {"dimension": "vcpu", "bound": 40, "amounts": [0] * 23 + [1]}


@pytest.mark.parametrize("query", ["days=0", "days=367", "days=ten", "days=", "weeks=1"])
def test_a_window_that_cannot_be_is_refused(api: Api, query: str) -> None:
    assert api.get("chengang", f"/pools/internet-a/history?{query}").status_code == 422


def test_no_such_pool_or_month(api: Api) -> None:
    assert api.get("chengang", "/pools/nowhere/history").status_code == 404
    department = api.city.department_id("civil-affairs")
    path = f"/months/2026-13/departments/{department}/history"
    assert api.get("limin", path).status_code == 404
