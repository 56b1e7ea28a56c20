"""Object storage ordered by two departments, used, filled, rotated, suspended and retired, on a
cloud of its own without machines."""

from __future__ import annotations

import http.client
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from controlplane.pipeline import Ask
from controlplane.service_requests.rules import RequestState
from lab import settings
from lab.openstack import cloud
from lab.progress import Progress
from tests.integration.buckets import Bucket, Keys, left_of
from tests.integration.live_city import (
    LiveCity,
    connect,
    end_live_city,
    make_live_city,
    wait_for,
)

# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

GIB = 1 << 30
QUIET = Progress(quiet=True)
#: Projects, networks and routers of both, on a machine that is busy.
SET_UP_WITHIN_S = 300


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """The settings of a cloud for this file, which runs."""
    home = tmp_path_factory.mktemp("openstack") / "lab"
    environment = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
    changes = {"LAB_HOME": str(home), "LAB_DATA_PLANE": "none"}
    made = settings.load(environment={**environment, **changes})
    try:
        assert cloud.start(made, QUIET).without_object_storage == ""
        yield made
    finally:
        cloud.clean(made, QUIET)


@pytest.fixture(scope="module")
def entry(configured: settings.Settings) -> Mapping[str, Any]:
    """The administrator's entry of its clouds.yaml."""
    text = Path(cloud.status(configured).clouds_yaml).read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.safe_load(text)["clouds"]["lab"]
    return found


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, entry: Mapping[str, Any]) -> Iterator[LiveCity]:
    """A control plane whose cloud has object storage, and two departments that are set up."""
    admin = connect(entry)
    folder = tmp_path_factory.mktemp("city")
    made = make_live_city(folder, uuid.uuid4().hex[:6], admin, entry, object_storage=True)
    first = [ask_for(made), ask_for(made, "zhaoguodong")]
    wait_for(
        lambda: None if RequestState.DELIVERING in states(made, first) else True,
        "two departments that are set up",
        lambda: [made.told(request_id) for request_id in first],
        SET_UP_WITHIN_S,
    )
    assert states(made, first) == {RequestState.FULFILLED}
    made.retire_all("object-storage")
    yield made
    end_live_city(made)
    admin.close()


def states(city: LiveCity, request_ids: list[int]) -> set[str]:
    return {city.request(request_id).state for request_id in request_ids}


def ask_for(city: LiveCity, login: str = "limin", **form: Any) -> int:
    """One of 2 GiB asked for and agreed to; the request's id."""
    wanted = {"system_name": "档案影像", "bucket_name": "files", "quota_gib": 2, **form}
    asked = Ask("object-storage", "provision", "internet", wanted)
    request_id = city.control_plane.pipeline.submit_request(city.person(login), asked)
    city.decide("zhangjing", request_id)
    city.worker.wake()
    return request_id


def order(city: LiveCity, login: str = "limin", **form: Any) -> str:
    """The id of a delivered one."""
    return city.fulfilled(ask_for(city, login, **form))


def keys(city: LiveCity, resource_id: str, login: str = "limin") -> Keys:
    """As the resource's page shows them."""
    shown = city.control_plane.connections.show(city.person(login), resource_id, "核对")
    return Keys(
        city.resource(resource_id).outputs, shown.secrets["secret_key"], shown.secrets["url_key"]
    )


def bucket_of(city: LiveCity, resource_id: str, department: str = "civil-affairs") -> Bucket:
    resource = city.resource(resource_id)
    project = f"egov-{city.code(department)}-internet"
    return Bucket(
        Path(),
        city.entry,
        project,
        city.project_id(department),
        dict(resource.spec),
        resource_id=resource_id,
    )


def retire(city: LiveCity, resource_id: str, department: str = "civil-affairs") -> None:
    """At once, and nothing of it is left."""
    bucket = bucket_of(city, resource_id, department)
    city.retire_all("object-storage")
    tenant = connect(city.entry, project_name=bucket.project)
    try:
        assert left_of(city.admin, tenant, bucket) == []
    finally:
        tenant.close()


def may_sign_in(mine: Keys, entry: Mapping[str, Any]) -> bool:
    """With the account's name and password, as swift's own client does."""
    connection = mine.signed_in(entry)
    try:
        return connection.object_store.get_container_metadata(mine.bucket) is not None
    except (SDKException, ClientException):
        return False
    finally:
        connection.close()


def announced(mine: Keys, entry: Mapping[str, Any], size: int) -> int:
    """The status of storing an object of that many bytes, of which none is sent."""
    connection: Connection = mine.signed_in(entry)
    where = urlsplit(mine.outputs["swift_url"])
    client = http.client.HTTPConnection(where.netloc, timeout=30)
    try:
        client.putrequest("PUT", f"{where.path}/{mine.bucket}/big")
        client.putheader("X-Auth-Token", connection.auth_token)
        client.putheader("Content-Length", str(size))
        client.endheaders()
        return client.getresponse().status
    finally:
        client.close()
        connection.close()


def test_two_departments_order_and_each_reaches_its_own(
    city: LiveCity, record_property: Any
) -> None:
    started_s = time.monotonic()
    mine_id = order(city)
    mine = keys(city, mine_id)
    assert mine.put("a.txt", b"mine") == "ok"
    record_property("order_to_first_object_s", round(time.monotonic() - started_s, 1))
    theirs_id = order(city, "zhaoguodong")
    theirs = keys(city, theirs_id, "zhaoguodong")
    assert theirs.put("b.txt", b"theirs") == "ok"
    assert mine.bucket != theirs.bucket
    for one, other, key in ((mine, theirs, "b.txt"), (theirs, mine, "a.txt")):
        assert one.may_read(key, other.bucket) in ("AccessDenied", "NoSuchBucket")
        assert one.put(key, b"x", other.bucket) in ("AccessDenied", "NoSuchBucket")
        assert Keys(other.outputs, other.secret_key, one.url_key).fetched(key) == 401
    retire(city, mine_id)


def test_a_full_one_takes_no_more_and_does_not_shrink_below_what_it_holds(
    city: LiveCity, entry: Mapping[str, Any]
) -> None:
    resource_id = order(city)
    mine = keys(city, resource_id)
    assert mine.put("small", b"x" * 1000) == "ok"
    assert announced(mine, entry, 2 * GIB) == 413
    for part in range(9):
        assert mine.put(f"part-{part}", bytes(GIB // 8)) == "ok"
    refused = city.ended(city.change(resource_id, quota_gib=1))
    assert refused.state == "failed"
    assert "1.13 GiB" in city.told(refused.id)
    assert "请先删除对象" in city.told(refused.id)
    city.idle()
    assert city.resource(resource_id).spec["quota_gib"] == 2
    assert mine.put("more", b"x") == "ok"
    for part in range(9):
        mine.s3().remove_object(mine.bucket, f"part-{part}")
    city.fulfilled(city.change(resource_id, quota_gib=1))
    assert announced(mine, entry, GIB) == 413
    city.fulfilled(city.change(resource_id, quota_gib=3))
    assert announced(mine, entry, 3 * GIB) == 413
    retire(city, resource_id)


def test_old_and_new_keys_are_valid_side_by_side_until_the_old_ones_end(
    city: LiveCity, entry: Mapping[str, Any]
) -> None:
    resource_id = order(city)
    old = keys(city, resource_id)
    assert old.put("a.txt", b"1") == "ok"
    city.operate(resource_id, "rotate_keys")
    new = keys(city, resource_id)
    assert {old.secret_key, old.url_key}.isdisjoint({new.secret_key, new.url_key})
    for account in (old, new):
        assert account.put("a.txt", b"2") == "ok"
        assert account.fetched("a.txt") == 200
        assert may_sign_in(account, entry)
    city.clock.advance(hours=25)
    assert city.ticks.end_grace() == 1
    city.worker.wake()
    city.idle()
    assert old.put("a.txt", b"3") != "ok"
    assert old.fetched("a.txt") == 401
    assert not may_sign_in(old, entry)
    assert new.put("a.txt", b"3") == "ok"
    assert new.fetched("a.txt") == 200
    retire(city, resource_id)


def test_suspended_it_lets_nobody_in_and_resumed_it_holds_what_it_held(
    city: LiveCity, entry: Mapping[str, Any]
) -> None:
    resource_id = order(city)
    mine = keys(city, resource_id)
    assert mine.put("a.txt", b"kept") == "ok"
    city.operate(resource_id, "power_off")
    assert mine.may_read("a.txt") == "AccessDenied"
    assert mine.fetched("a.txt") == 401
    assert not may_sign_in(mine, entry)
    city.operate(resource_id, "power_on")
    assert mine.get("a.txt") == b"kept"
    assert mine.fetched("a.txt") == 200
    retire(city, resource_id)
