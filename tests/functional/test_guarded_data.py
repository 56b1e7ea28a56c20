"""Data of protected resources: restored over or exchanged by two people, or not at all."""

from __future__ import annotations

import pytest
from flask import Flask

from controlplane.app import create_app
from controlplane.approval.rules import Decision
from controlplane.errors import OwnAsk, StateConflict
from controlplane.guarding import pending_ask
from controlplane.provisioning.models import TwoPersonAsk
from tests.functional.depot import Depot
from tests.functional.test_ui_pages import lint, sign_in


@pytest.fixture
def app(depot: Depot) -> Flask:
    return create_app(depot.control_plane)


def awaited(depot: Depot, resource_id: str) -> TwoPersonAsk | None:
    with depot.control_plane.db.read() as session:
        return pending_ask(session, resource_id)


@pytest.fixture(params=["restore", "exchange"])
def asked(depot: Depot, request: pytest.FixtureRequest) -> tuple[str, str]:
    """(id of a protected resource, what its owner has asked for): a second person is awaited."""
    control_plane, limin = depot.control_plane, depot.city.person("limin")
    resource_id, other = depot.database(), depot.database()
    number = depot.backed_up(resource_id)
    protected = resource_id if request.param == "restore" else other
    control_plane.protecting.protect_resource(limin, protected)
    if request.param == "restore":
        control_plane.recovery.restore_in_place(limin, resource_id, number, "低保")
    else:
        control_plane.recovery.exchange(limin, resource_id, other, "低保")
    assert depot.carry_out() == []
    return resource_id, request.param


def test_data_of_a_protected_resource_give_way_by_two(
    app: Flask, depot: Depot, asked: tuple[str, str]
) -> None:
    resource_id, act = asked
    ask = awaited(depot, resource_id)
    assert ask is not None
    assert ask.act == act
    protecting = depot.control_plane.protecting
    page = sign_in(app, "chengang").get(f"/resources/{resource_id}/second-person").text
    assert lint(page) == []
    assert str(ask.detail.get("backup") or ask.detail["other"]) in page
    with pytest.raises(OwnAsk):
        protecting.decide_ask(depot.city.person("limin"), resource_id, ask.id, Decision.AGREE)
    engineer = depot.city.person("chengang")
    protecting.decide_ask(engineer, resource_id, ask.id, Decision.AGREE, typed_name="低保")
    assert depot.carry_out()[-1] == act


def test_what_was_true_when_it_was_asked_is_looked_at_again(
    depot: Depot, asked: tuple[str, str]
) -> None:
    resource_id, _ = asked
    ask = awaited(depot, resource_id)
    assert ask is not None
    depot.control_plane.operations.operate_resource(
        depot.city.person("limin"), resource_id, "power_off", {}
    )
    depot.carry_out()
    engineer = depot.city.person("chengang")
    with pytest.raises(StateConflict):
        depot.control_plane.protecting.decide_ask(
            engineer, resource_id, ask.id, Decision.AGREE, typed_name="低保"
        )
    assert awaited(depot, resource_id) is not None


def test_an_ask_that_nobody_decides_lapses(depot: Depot, asked: tuple[str, str]) -> None:
    resource_id, _ = asked
    depot.city.clock.advance(days=6)
    assert depot.control_plane.operations.lapse_asks() == 0
    depot.city.clock.advance(days=1)
    assert depot.control_plane.operations.lapse_asks() == 1
    assert depot.control_plane.operations.lapse_asks() == 0
    assert awaited(depot, resource_id) is None
    assert depot.carry_out() == []
