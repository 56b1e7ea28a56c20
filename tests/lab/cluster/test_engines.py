"""MariaDB, Redis and RabbitMQ of a department's own on Kubernetes, used by real clients through
their whole life."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kubernetes import client

from tests.lab.cloud import until
from tests.lab.engine_clients import (
    MARIADB,
    RABBITMQ,
    REDIS,
    Access,
    Engine,
    ask,
    broker,
    cache,
)
from tests.lab.holders import SETTINGS, Holders
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import Lab

PATIENCE_S = 60
ENGINES = (MARIADB, REDIS, RABBITMQ)
EACH = pytest.mark.parametrize("engine", ENGINES, ids=str)


@pytest.fixture(scope="module")
def running_city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    with kubernetes_city(tmp_path_factory.mktemp("city"), lab) as city:
        yield city


@pytest.fixture
def city(running_city: KubernetesCity) -> Iterator[KubernetesCity]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield running_city
    running_city.retire_all(*(engine.service for engine in ENGINES))
    running_city.assert_nothing_is_left()


def delivered(city: KubernetesCity, engine: Engine, plan: str = "own_small") -> str:
    return city.delivered(engine.service, plan=plan, **engine.form)


def access(city: KubernetesCity, folder: Path, resource_id: str) -> Access:
    return Access.shown(city.shown(resource_id), folder)


def gets_in(engine: Engine, way: Access, **changes: Any) -> bool:
    try:
        connection = engine.connect(way, **changes)
        if isinstance(connection, redis.Redis):
            connection.ping()
        connection.close()
    except engine.refused:
        return False
    return True


def volume_gib(city: KubernetesCity, resource_id: str) -> int:
    claims = client.CoreV1Api(city.client()).list_persistent_volume_claim_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    (claim,) = claims.items
    return int(claim.status.capacity["storage"].removesuffix("Gi"))


@EACH
def test_a_server_of_its_own_is_used_through_its_whole_life(
    city: KubernetesCity, tmp_path: Path, engine: Engine, record_property: Any
) -> None:
    request_id = city.ask(engine.service, plan="own_small", **engine.form)
    began = time.monotonic()
    resource_id = city.fulfilled(request_id)
    old = access(city, tmp_path, resource_id)
    engine.write(old)
    record_property(
        f"{engine.service}_approved_to_first_write_s", round(time.monotonic() - began, 1)
    )
    assert not gets_in(engine, old, tls=False)
    size = volume_gib(city, resource_id)

    holders = Holders(city, resource_id, engine, tmp_path) if engine.add_one else None
    if holders:
        holders.come()
    if engine is MARIADB:
        pod = pod_of(city, resource_id)
        city.operate(resource_id, "set_parameters", **SETTINGS["mariadb"].form)
        assert pod_of(city, resource_id) == pod, "it is not started again for them"
        assert_set(city, tmp_path, resource_id)
        kill(city, resource_id)
        until(lambda: gets_in(MARIADB, old) or None, PATIENCE_S, "MariaDB again")
        assert_set(city, tmp_path, resource_id)

    city.operate(resource_id, "rotate_password")
    new = access(city, tmp_path, resource_id)
    there = engine.count(old)
    assert engine.count(new) == there >= 3, "both are valid for a while"
    city.end_grace()
    assert (gets_in(engine, old), gets_in(engine, new)) == (False, True)

    city.fulfilled(city.change(resource_id, plan="own_standard"))
    assert engine.count(new) == there
    assert volume_gib(city, resource_id) > size
    city.goes_back_where_no_node_has_room(resource_id)

    city.operate(resource_id, "power_off")
    assert not gets_in(engine, new)
    city.operate(resource_id, "power_on")
    assert engine.count(new) == there
    if engine is MARIADB:
        assert_set(city, tmp_path, resource_id)
    if holders:
        holders.work()
        holders.leave()


def assert_set(city: KubernetesCity, folder: Path, resource_id: str) -> None:
    settings = SETTINGS["mariadb"]
    seen = settings.ask(access(city, folder, resource_id), settings.shown)
    assert seen == [settings.seen]


# --- what each engine has of its own ------------------------------------------------------------


def pod_of(city: KubernetesCity, resource_id: str) -> str:
    """The unique id of the one pod that is there."""
    asked = {"label_selector": f"egov/resource-id={resource_id}"}
    (pod,) = client.CoreV1Api(city.client()).list_pod_for_all_namespaces(**asked).items
    return str(pod.metadata.uid)


def kill(city: KubernetesCity, resource_id: str) -> None:
    """The server ends without a chance to write anything, and its pod is made again."""
    core = client.CoreV1Api(city.client())
    asked = {"label_selector": f"egov/resource-id={resource_id}"}
    (pod,) = core.list_pod_for_all_namespaces(**asked).items
    name, namespace = pod.metadata.name, pod.metadata.namespace
    core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)

    def other() -> bool | None:
        found = core.list_pod_for_all_namespaces(**asked).items
        return True if [p for p in found if p.metadata.uid != pod.metadata.uid] else None

    until(other, PATIENCE_S, "another pod")


@pytest.mark.brief
def test_mariadb_keeps_within_its_plan(city: KubernetesCity, tmp_path: Path) -> None:
    resource_id = delivered(city, MARIADB)
    way = access(city, tmp_path, resource_id)
    told = ask(way, "SELECT @@innodb_buffer_pool_size, @@max_connections, @@max_user_connections")
    assert told == [(512 * 1024 * 1024, 60, 50)]


def test_redis_changes_between_persistent_and_not_with_its_data(
    city: KubernetesCity, tmp_path: Path
) -> None:
    resource_id = delivered(city, REDIS, "own_cache")
    way = access(city, tmp_path, resource_id)
    REDIS.write(way)
    city.fulfilled(city.change(resource_id, plan="own_small"))
    assert cache(way).mget("a", "b", "c") == ["1", "2", "3"]
    kill(city, resource_id)
    until(lambda: gets_in(REDIS, way) or None, PATIENCE_S, "Redis again")
    assert cache(way).mget("a", "b", "c") == ["1", "2", "3"]
    city.fulfilled(city.change(resource_id, plan="own_cache"))
    assert cache(way).mget("a", "b", "c") == ["1", "2", "3"]


@pytest.mark.brief
def test_redis_of_its_own_has_every_key_and_is_flushed_whole(
    city: KubernetesCity, tmp_path: Path
) -> None:
    resource_id = delivered(city, REDIS)
    texts = city.shown(resource_id)
    assert texts["prefix"] == "无须前缀 · none needed"
    mine = cache(Access.shown(texts, tmp_path))
    mine.set("any:key", "1")
    assert (mine.keys("*"), mine.dbsize()) == (["any:key"], 1)
    for refused in (("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",), ("BGSAVE",)):
        with pytest.raises(redis.exceptions.NoPermissionError):
            mine.execute_command(*refused)
    city.operate(resource_id, "flush")
    assert mine.dbsize() == 0


@pytest.mark.brief
def test_rabbitmq_keeps_within_its_plan(city: KubernetesCity, tmp_path: Path) -> None:
    resource_id = delivered(city, RABBITMQ)
    way = access(city, tmp_path, resource_id)
    with broker(way) as connection:
        channel = connection.channel()
        for number in range(200):
            channel.queue_declare(f"queue-{number}")
        with pytest.raises(RABBITMQ.refused, match="limit"):
            channel.queue_declare("one-more")
