"""Key prefixes on the real shared Redis, used by real clients, and taken away again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.lab.servers.shared_roles import ODD_PASSWORD, Instance, plan_of

pytestmark = pytest.mark.brief

REFUSED = redis.exceptions.NoPermissionError


def client(server: Mapping[str, Any], user: str, password: str, **changes: Any) -> Any:
    reached = {
        "host": server["service_address"],
        "port": server["service_port"],
        "username": user,
        "password": password,
        "ssl": True,
        "ssl_ca_certs": server["service_ca_file"],
        "decode_responses": True,
        **changes,
    }
    return redis.Redis(**reached)


def of(instance: Instance) -> Any:
    return client(instance.server, instance.outputs["username"], instance.password)


def instance(inventory: Path, folder: Path, password: str) -> Instance:
    spec = {"key_prefix": "dibao", "plan": plan_of("redis", "small")}
    made = Instance("redis", inventory, folder, spec, password)
    assert made.run("provision") > 0
    return made


def test_two_departments_from_order_to_the_end(inventory: Path, tmp_path: Path) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server = ours.server
    key, strange = ours.outputs["prefix"] + "a", theirs.outputs["prefix"] + "a"
    mine, other = of(ours), of(theirs)
    mine.set(key, "1")
    other.set(strange, "2")
    assert mine.eval("return redis.call('GET', KEYS[1])", 1, key) == "1"
    for attempt in (
        ("GET", strange),
        ("SET", strange, "x"),
        ("DEL", strange),
        ("COPY", key, strange),
        ("RENAME", key, strange),
        ("EVAL", "return redis.call('GET', ARGV[1])", "0", strange),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("RANDOMKEY",),
        ("DBSIZE",),
        ("PUBSUB", "CHANNELS"),
        ("PUBLISH", strange, "x"),
        ("SUBSCRIBE", strange),
        ("CLIENT", "TRACKING", "ON", "BCAST"),
        ("CLIENT", "LIST"),
        ("ACL", "LIST"),
        ("CONFIG", "GET", "*"),
        ("FLUSHALL",),
        ("SWAPDB", "0", "1"),
        ("FUNCTION", "LIST"),
        ("SCRIPT", "FLUSH"),
        ("MONITOR",),
        ("INFO",),
    ):
        with pytest.raises(redis.ResponseError, match=r"(?i)noperm|permission|can't access"):
            mine.execute_command(*attempt)
    with pytest.raises(redis.AuthenticationError):
        client(server, ours.outputs["username"], "wrong").ping()
    with pytest.raises(redis.ConnectionError):
        client(server, ours.outputs["username"], ours.password, ssl=False).ping()
    with pytest.raises(redis.ConnectionError, match=r"(?i)certificate"):
        client(server, ours.outputs["username"], ours.password, ssl_ca_certs=None).ping()

    assert ours.run("provision") == 0, "a second run changes nothing"
    saved = Path(server["service_admin_password_file"]).parent / "data" / "users.acl"
    assert ours.outputs["username"] in saved.read_text(), "it survives a restart"

    ours.run("power_off")
    with pytest.raises(redis.ConnectionError):
        mine.ping()
    ours.run("power_on")
    assert of(ours).get(key) == "1"

    old, ours.password = of(ours), "new'$ecret\\"
    ours.run("rotate_password")
    assert old.get(key) == of(ours).get(key) == "1", "both are valid for a while"
    ours.run("end_old_password")
    with pytest.raises(redis.ConnectionError):
        old.get(key)
    elsewhere = client(server, ours.outputs["username"], ours.password, db=3)
    elsewhere.set(key, "3")
    ours.run("flush")
    assert (of(ours).get(key), elsewhere.get(key), other.get(strange)) == (None, None, "2")

    of(ours).set(key, "again")
    for one in (ours, theirs):
        one.run("retire")
    admin = client(server, server["service_admin_user"], server["password"])
    for prefix in (ours.outputs["prefix"], theirs.outputs["prefix"]):
        assert [account for account in admin.acl_list() if prefix.rstrip(":") in account] == []
        assert list(admin.scan_iter(prefix + "*")) == []
