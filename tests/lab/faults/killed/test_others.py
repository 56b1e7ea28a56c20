"""A shared cache or broker killed amid an action, a database server amid an upgrade: the next try
does it, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.pipeline import Ask
from controlplane.upgrade_plans import Plan
from tests.lab.campaigns import advance_to_the_end
from tests.lab.engine_clients import QUEUE, RABBITMQ, REDIS, Access, Engine, cache
from tests.lab.faults.killed.killing import Servers, finished_after_a_kill, runs
from tests.lab.servers.backed_city import Way
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import SharedCity, order, shown
from tests.newer import offering

NAME = "低保核对数据库"


@pytest.mark.parametrize("engine", [REDIS, RABBITMQ], ids=str)
def test_a_cache_or_a_broker_killed_amid_its_order_a_change_or_a_rotation_does_it_and_loses_nothing(
    city: SharedCity, servers: Servers, engine: Engine, tmp_path: Path
) -> None:
    form = {"system_name": NAME, "plan": "small", **engine.form}
    asked = Ask(engine.service, "provision", "internet", form)
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), asked)
    city.decide("zhangjing", request_id)

    def killed_amid(action: str) -> None:
        finished_after_a_kill(city, servers, engine.service, action, lambda: runs(city, action))

    def access() -> Access:
        return Access.shown(shown(city, resource_id), tmp_path)

    def count(by: Access) -> int:
        return int(cache(by).exists(*keys)) if keys else engine.count(by)

    killed_amid("provision")
    resource_id = city.fulfilled(request_id)
    prefix = city.resource(resource_id).outputs.get("prefix")
    keys = [f"{prefix}{name}" for name in "abc"] if prefix else []
    if keys:
        cache(access()).mset(dict.fromkeys(keys, "1"))
    else:
        engine.write(access())
        servers.wait_until_written(engine.service, QUEUE)
    assert count(access()) == 3
    request_id = city.change(resource_id, plan="standard")
    killed_amid("change")
    assert city.fulfilled(request_id) == resource_id
    assert count(access()) == 3
    before = access()
    city.control_plane.operations.operate_resource(
        city.person("limin"), resource_id, "rotate_password", {}
    )
    killed_amid("rotate_password")
    assert access().password != before.password
    assert count(access()) == count(before) == 3, "both are valid for a while"


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_killed_amid_an_upgrade_the_next_try_does_it_and_the_rows_stay(
    city: SharedCity, servers: Servers, engine: Backed, tmp_path: Path
) -> None:
    way, service = Way(city, engine, tmp_path), engine.service
    resource_id = city.fulfilled(order(city, service=service))
    way.fill(resource_id, 1000)
    before = way.total(resource_id)
    older = city.resource(resource_id).service_version
    city.start_again_on(offering(service, tmp_path))
    upgrading, engineer = city.control_plane.upgrading, city.person("chengang")
    number = upgrading.start(engineer, Plan(service, older, "9.0.0", any_time=True))

    def is_upgraded() -> bool:
        """Now: a backup is taken first, and the upgrade follows it by itself."""
        upgrading.advance()
        city.worker.wake()
        return bool(city.jobs(resource_id=resource_id, action="upgrade")) and runs(city, "upgrade")

    finished_after_a_kill(city, servers, service, "upgrade", is_upgraded)
    assert advance_to_the_end(city, number) == "finished", city.told()
    assert city.resource(resource_id).service_version == "9.0.0"
    assert way.total(resource_id) == before
    city.retire_all(service)  # while its version is offered
