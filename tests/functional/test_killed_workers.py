"""A worker killed amid any action is followed by one that is told the same; it is done once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.provisioning.service import LeaseLost
from tests.functional.depot import Depot

READER = {"account": "report", "rights": "read"}
NAME = "低保"


def operate(action: str, **form: Any) -> Callable[[Depot, str], None]:
    def begin(depot: Depot, resource_id: str) -> None:
        operations = depot.control_plane.operations
        operations.operate_resource(depot.city.person("limin"), resource_id, action, form)

    return begin


def restore(depot: Depot, resource_id: str) -> None:
    number = depot.backed_up(resource_id)
    recovery, limin = depot.control_plane.recovery, depot.city.person("limin")
    recovery.restore_in_place(limin, resource_id, number, NAME)
    present = next(depot.runs_waiting())  # what is there is backed up first
    depot.control_plane.delivery.complete(present, depot.outputs(present))


def drill(depot: Depot, resource_id: str) -> None:
    depot.backed_up(resource_id)
    depot.control_plane.recovery.drill_now(depot.city.person("chengang"), resource_id)


def exchange(depot: Depot, resource_id: str) -> None:
    recovery, limin = depot.control_plane.recovery, depot.city.person("limin")
    recovery.exchange(limin, resource_id, depot.database(), NAME)


def new_password(depot: Depot, resource_id: str) -> None:
    depot.operate(resource_id, "add_account", **READER)
    operate("account_password", account_there="report")(depot, resource_id)


ACTIONS = {
    "rotate_password": operate("rotate_password"),
    "add_account": operate("add_account", **READER),
    "account_password": new_password,
    "add_extension": operate("add_extension", extension="pg_trgm"),
    "power_off": operate("power_off"),
    "restore": restore,
    "drill": drill,
    "exchange": exchange,
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_worker_killed_amid_an_action_is_followed_by_one_that_is_told_the_same(
    depot: Depot, action: str
) -> None:
    resource_id = depot.database()
    ACTIONS[action](depot, resource_id)
    delivery = depot.control_plane.delivery
    killed = next(depot.runs_waiting())
    assert killed.action == action
    assert list(depot.runs_waiting()) == [], "nobody else has it as long as its lease holds"
    depot.city.clock.advance(minutes=5)
    (again,) = depot.runs_waiting()
    assert again.was_taken_before
    assert again.extravars == killed.extravars, "its secrets, its archive, what was typed"
    outputs = depot.outputs(again)
    with pytest.raises(LeaseLost):
        delivery.complete(killed, outputs)
    with pytest.raises(LeaseLost):
        delivery.fail(killed, "too late", final=True)
    delivery.complete(again, outputs)
    assert list(depot.runs_waiting()) == [], "it is done"
    assert depot.jobs(action)[-1].state == "succeeded"
    assert depot.resource(resource_id).state == ("stopped" if action == "power_off" else "active")


def test_the_password_in_force_is_that_which_the_second_worker_set(depot: Depot) -> None:
    resource_id = depot.database()
    operate("rotate_password")(depot, resource_id)
    next(depot.runs_waiting())
    depot.city.clock.advance(minutes=5)
    depot.carry_out()
    told = depot.runs[-1].extravars["secrets"]["password"]
    shown = depot.control_plane.connections.show(depot.city.person("limin"), resource_id)
    assert shown.secrets == {"password": told}
