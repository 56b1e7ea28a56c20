"""Protected resources: nothing destroys one that two people have not agreed to destroy."""

from __future__ import annotations

from functools import partial

import pytest
import sqlalchemy as sa

from controlplane.approval.rules import Decision
from controlplane.audit import AuditEvent
from controlplane.errors import (
    InvalidInput,
    NotFound,
    OwnAsk,
    SecondPersonAwaited,
    StateConflict,
)
from controlplane.provisioning.models import Job, Resource
from tests.factories import City
from tests.functional.concurrently import at_once
from tests.functional.test_ui_pages import lint, sign_in

NAME = "低保核对系统"


def protected(city: City) -> str:
    """A delivered resource that its department has protected."""
    resource_id = city.delivered()
    city.control_plane.protecting.protect_resource(city.person("limin"), resource_id)
    return resource_id


def row(city: City, resource_id: str) -> Resource:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id)


def asked_to_retire(city: City, resource_id: str) -> int:
    ask = city.control_plane.operations.retire_resource(city.person("limin"), resource_id, NAME)
    assert ask is not None
    return ask


def decide(
    city: City,
    resource_id: str,
    ask: int,
    login: str = "chengang",
    decision: Decision = Decision.AGREE,
    opinion: str = "",
    name: str = NAME,
) -> None:
    protecting = city.control_plane.protecting
    protecting.decide_ask(city.person(login), resource_id, ask, decision, opinion, name)


def events(city: City) -> list[tuple[str, str]]:
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(AuditEvent)
            .where(AuditEvent.object_type == "resource")
            .order_by(AuditEvent.id)
        )
        names = [(event.event, event.actor_name) for event in rows]
        return [(event, who) for event, who in names if event != "request_fulfilled"]


def test_a_protected_resource_is_retired_by_two(city: City) -> None:
    resource_id = protected(city)
    ask = asked_to_retire(city, resource_id)
    assert row(city, resource_id).state == "active"
    with pytest.raises(OwnAsk):
        decide(city, resource_id, ask, "limin")
    decide(city, resource_id, ask)
    assert row(city, resource_id).state == "retiring"
    assert events(city) == [
        ("resource_protected", "李敏"),
        ("second_person_asked", "李敏"),
        ("second_person_decided", "陈刚"),
        ("resource_retiring", "陈刚"),
    ]
    city.deliver()
    city.clock.advance(days=8)
    city.control_plane.operations.destroy_due()
    assert city.deliver() == ["retire"]


def test_protection_comes_off_by_two_and_is_on_at_once(city: City) -> None:
    resource_id = protected(city)
    protecting = city.control_plane.protecting
    ask = protecting.unprotect_resource(city.person("chengang"), resource_id)
    assert row(city, resource_id).is_protected
    decide(city, resource_id, ask, "limin", name="")
    assert not row(city, resource_id).is_protected
    with pytest.raises(StateConflict):
        protecting.unprotect_resource(city.person("limin"), resource_id)
    city.control_plane.operations.retire_resource(city.person("limin"), resource_id, NAME)
    assert row(city, resource_id).state == "retiring"


def test_destroying_at_once_needs_the_name_from_both(city: City) -> None:
    resource_id = protected(city)
    operations = city.control_plane.operations
    with pytest.raises(InvalidInput):
        operations.retire_now(city.person("chengang"), resource_id, "别的")
    ask = operations.retire_now(city.person("chengang"), resource_id, NAME)
    assert ask is not None
    with pytest.raises(InvalidInput):
        decide(city, resource_id, ask, "limin", name="")
    assert row(city, resource_id).state == "active"
    decide(city, resource_id, ask, "limin")
    assert row(city, resource_id).state == "destroying"


def test_a_refusal_says_why_and_the_asker_may_take_it_back(city: City) -> None:
    resource_id = protected(city)
    ask = asked_to_retire(city, resource_id)
    with pytest.raises(InvalidInput):
        decide(city, resource_id, ask, decision=Decision.REFUSE)
    decide(city, resource_id, ask, decision=Decision.REFUSE, opinion="仍在使用")
    with pytest.raises(StateConflict):
        decide(city, resource_id, ask)
    again = asked_to_retire(city, resource_id)
    decide(city, resource_id, again, "limin", Decision.REFUSE)
    with pytest.raises(StateConflict):
        decide(city, resource_id, again)
    assert row(city, resource_id).state == "active"


def test_strangers_and_wrong_roles_are_no_second_person(city: City) -> None:
    resource_id = protected(city)
    ask = asked_to_retire(city, resource_id)
    for login in ("zhaoguodong", "zhangjing", "admin"):
        with pytest.raises(NotFound):
            decide(city, resource_id, ask, login)
    other = city.delivered()
    with pytest.raises(NotFound):
        decide(city, other, ask)
    assert row(city, resource_id).state == "active"


def test_the_same_ask_twice_is_one_and_another_one_waits_its_turn(city: City) -> None:
    resource_id = protected(city)
    operations, limin = city.control_plane.operations, city.person("limin")
    asks = at_once([partial(operations.retire_resource, limin, resource_id, NAME)] * 4)
    assert len(set(map(repr, asks))) == 1
    with pytest.raises(SecondPersonAwaited):
        operations.retire_now(city.person("chengang"), resource_id, NAME)


def test_two_different_asks_at_once_leave_one(city: City) -> None:
    resource_id = protected(city)
    operations, protecting = city.control_plane.operations, city.control_plane.protecting
    outcomes = at_once(
        [
            partial(operations.retire_resource, city.person("limin"), resource_id, NAME),
            partial(protecting.unprotect_resource, city.person("chengang"), resource_id),
        ]
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["SecondPersonAwaited", "int"]


def test_an_agreement_sent_four_times_is_carried_out_once(city: City) -> None:
    resource_id = protected(city)
    ask = asked_to_retire(city, resource_id)
    outcomes = at_once([partial(decide, city, resource_id, ask)] * 4)
    assert [o for o in outcomes if o is None] == [None]
    assert sum(isinstance(o, StateConflict) for o in outcomes) == 3
    with city.control_plane.db.read() as session:
        stops = sa.select(sa.func.count()).select_from(Job).where(Job.action == "power_off")
        assert session.scalar(stops) == 1
    assert events(city).count(("resource_retiring", "陈刚")) == 1


def test_the_pages_lead_both_people_through_it(city: City) -> None:
    from controlplane.app import create_app

    resource_id = city.delivered()
    app = create_app(city.control_plane)
    clerk = sign_in(app, "limin")
    clerk.post(f"/resources/{resource_id}/protection", protected="yes")
    page = clerk.get(f"/resources/{resource_id}").text
    assert lint(page) == []
    assert "受保护，销毁须双人复核" in page
    clerk.post(f"/resources/{resource_id}/actions/retire", confirm_name=NAME)
    assert row(city, resource_id).state == "active"
    waiting = clerk.get(f"/resources/{resource_id}/second-person").text
    assert lint(waiting) == []
    assert "同意并执行" not in waiting
    engineer = sign_in(app, "chengang")
    assert f"/resources/{resource_id}/second-person" in engineer.get("/").text
    page = engineer.get(f"/resources/{resource_id}/second-person").text
    assert lint(page) == []
    ask = page.split('name="ask" value="')[1].split('"')[0]
    form = {"ask": ask, "decision": "agree"}
    answer = engineer.post(f"/resources/{resource_id}/second-person", **form)
    assert answer.status_code == 422
    engineer.post(f"/resources/{resource_id}/second-person", **form, confirm_name=NAME)
    assert row(city, resource_id).state == "retiring"
