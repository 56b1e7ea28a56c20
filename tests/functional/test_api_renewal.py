"""Renewing a lease over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import City
from tests.functional.api_fixtures import Api, make_api


@pytest.fixture
def api(city: City) -> Api:
    return make_api(city)


def test_a_lease_is_renewed_and_sent_twice_it_counts_once(api: Api) -> None:
    resource_id = api.delivered()
    seen = api.get("limin", f"/resources/{resource_id}").json["expires_at"]
    assert seen == "2027-11-24T01:30:00Z"
    body = {"months": 12, "expires_at": seen}
    for _ in range(2):
        answer = api.post("limin", f"/resources/{resource_id}/renewal", body)
        assert answer.status_code == 200, answer.text
        assert answer.json["expires_at"] == "2028-11-24T01:30:00Z"
    events = [e["event"] for e in answer.json["events"]]
    assert events.count("resource_renewed") == 1
    # the same moment in another zone is the same lease
    body = {"months": 6, "expires_at": "2028-11-24T09:30:00+08:00"}
    renewed = api.post("limin", f"/resources/{resource_id}/renewal", body).json
    assert renewed["expires_at"] == "2029-05-24T01:30:00Z"
    body["months"] = 1
    answer = api.post("limin", f"/resources/{resource_id}/renewal", body)
    assert (answer.status_code, answer.json["code"]) == (409, "edited_meanwhile")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, [("months", "field_required"), ("expires_at", "field_required")]),
        (
            {"months": "ten", "expires_at": "soon"},
            [("months", "field_not_integer"), ("expires_at", "field_type")],
        ),
        ({"months": 0, "expires_at": "2027-11-24T01:30:00Z"}, [("months", "field_too_small")]),
        ({"months": 10**9, "expires_at": "2027-11-24T01:30:00Z"}, [("months", "field_too_large")]),
        ({"months": 36, "expires_at": "2027-11-24T01:30:00Z"}, [("months", "lease_too_long")]),
        ({"months": 6, "expires_at": "2027-11-24T01:30:00"}, [("expires_at", "field_type")]),
        ({"months": 6, "expires_at": 7}, [("expires_at", "field_type")]),
    ],
)
def test_every_fault_of_a_renewal_is_named(
    api: Api, body: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    resource_id = api.delivered()
    answer = api.post("limin", f"/resources/{resource_id}/renewal", body)
    assert answer.status_code == 422
    found = {(e["field"], e["code"]) for e in answer.json["errors"]}
    assert found == set(faults)


@pytest.mark.parametrize(
    "seen", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2027-11-24T01:30:01Z"]
)
def test_a_lease_that_one_cannot_have_seen_is_a_conflict(api: Api, seen: str) -> None:
    resource_id = api.delivered()
    body = {"months": 36, "expires_at": seen}
    answer = api.post("limin", f"/resources/{resource_id}/renewal", body)
    assert (answer.status_code, answer.json["code"]) == (409, "edited_meanwhile")
