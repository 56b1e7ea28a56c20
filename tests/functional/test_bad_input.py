"""What people and programs send though nobody asked for it: an answer, and nothing half done."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from controlplane.approval.rules import Decision
from controlplane.errors import DomainError, InvalidInput
from controlplane.service_requests.models import ServiceRequest
from tests.factories import City, ask

ODD_TEXTS = [
    "\x00",
    "a\x00b",
    "\ud800",
    "两\u2028行",
    "x" * 5000,
    "'; DROP TABLE job; --",
    "🏛️" * 90,
]
ODD_VALUES: list[Any] = [
    *ODD_TEXTS,
    -1,
    0,
    10**18,
    10**30,
    1.5,
    True,
    None,
    [],
    {},
    [[]],
    {"a": []},
]


def form_of(city: City, request_id: int) -> dict[str, Any]:
    with city.control_plane.db.read() as session:
        return session.get_one(ServiceRequest, request_id).form


@pytest.mark.parametrize("field", ["system_name", "plan", "image", "disk_gib", "volumes"])
def test_whatever_stands_in_a_field_the_form_is_priced_refused_and_kept_as_a_draft(
    city: City, field: str
) -> None:
    limin, pipeline = city.person("limin"), city.control_plane.pipeline
    for value in ODD_VALUES:
        asked = ask(**{field: value})
        if not pipeline.prepare(limin, asked).faults:
            continue  # odd, and allowed: quotes and emoji in a name
        with pytest.raises(InvalidInput):
            pipeline.submit_request(limin, asked)
        draft = pipeline.save_draft(limin, asked)
        assert form_of(city, draft)[field] == value
    with city.control_plane.db.read() as session:
        numbered = sa.select(ServiceRequest).where(ServiceRequest.number.is_not(None))
        assert session.scalars(numbered).all() == []


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_whatever_is_named_that_is_not_there_is_answered(city: City, text: str) -> None:
    limin, plane = city.person("limin"), city.control_plane
    for odd in (
        {"service": text},
        {"action": text},
        {"zone": text},
        {"resource_id": text, "action": "change"},
        {"submission_key": text, "plan": "none"},
    ):
        with pytest.raises(DomainError):
            plane.pipeline.submit_request(limin, ask(**odd))
    with pytest.raises(DomainError):
        plane.operations.operate_resource(limin, text, "power_off", {})
    with pytest.raises(DomainError):
        plane.operations.retire_resource(limin, text, text)
    plane.pipeline.save_draft(limin, ask(zone=text))


@pytest.mark.parametrize("number", [0, -1, 10**12, 2**63, 2**70])
def test_an_id_that_nothing_has_is_answered(city: City, number: int) -> None:
    limin, pipeline = city.person("limin"), city.control_plane.pipeline
    calls = (
        lambda: pipeline.submit_request(limin, ask(request_id=number)),
        lambda: pipeline.withdraw_request(limin, number),
        lambda: pipeline.decide_request(limin, number, number, Decision.AGREE, ""),
        lambda: city.control_plane.operations.cancel_job(city.person("chengang"), number),
    )
    for call in calls:
        with pytest.raises(DomainError):
            call()


@pytest.mark.parametrize("text", ["\x00", "同意\x07", "\ud800"])
def test_an_opinion_without_control_characters_or_none(city: City, text: str) -> None:
    request_id = city.submit()
    with pytest.raises(InvalidInput):
        city.decide("zhangjing", request_id, Decision.REFUSE, text)
    city.decide("zhangjing", request_id, Decision.REFUSE, "材料不全：\n1. 用途\n2. 规格")
    withdrawn = city.submit()
    city.control_plane.pipeline.withdraw_request(city.person("limin"), withdrawn, text)
