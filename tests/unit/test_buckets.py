"""Object storage's decisions: whom the container lets in, what changes, what is too small."""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import Mock
from urllib.parse import unquote

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.openstack.plugins.plugin_utils import buckets
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import CloudError

GIB = 1 << 30
WANTED = {
    "resource_id": "1f0e",
    "accounts": ["egov-files-a", "egov-files-b"],
    "account": "egov-files-a",
    "url_key": "new",
    "project_id": "p",
    "quota_gib": 2,
}


class Store:
    """Stands in for swift's API: what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def exchange(self, method: str, path: str, headers: dict[str, str]) -> None:
        self.asked.append((method, path, headers))


class Cloud:
    def __init__(self) -> None:
        self.object_store = Store()


def test_alone_an_account_is_let_in_and_the_other_url_key_is_none() -> None:
    headers = buckets.headers_of(WANTED, ["u1"], is_old_kept=False)
    assert headers[buckets.READ] == headers[buckets.WRITE] == "p:u1"
    assert [headers[name] for name in buckets.URL_KEYS] == ["new", ""]
    assert headers[buckets.QUOTA] == str(2 * 1024**3)


@pytest.mark.parametrize(("account", "own"), [("egov-files-a", 0), ("egov-files-b", 1)])
def test_beside_the_old_account_the_old_url_key_is_left_as_it_is(account: str, own: int) -> None:
    headers = buckets.headers_of({**WANTED, "account": account}, ["u1", "u2"], is_old_kept=True)
    assert headers[buckets.READ] == "p:u1,p:u2"
    assert [headers.get(name) for name in buckets.URL_KEYS] == (
        ["new", None] if own == 0 else [None, "new"]
    )


@pytest.mark.parametrize(
    ("found", "wanted", "asked"),
    [
        (None, {"X-Container-Read": "p:u"}, [("PUT", {"X-Container-Read": "p:u"})]),
        ({"X-Container-Read": "p:u"}, {"X-Container-Read": "p:u"}, []),
        (
            {"X-Container-Read": "p:u", "X-Container-Meta-Temp-URL-Key": "k"},
            {"X-Container-Read": "p:u", "X-Container-Meta-Temp-URL-Key": ""},
            [("POST", {"X-Remove-Container-Meta-Temp-URL-Key": "x"})],
        ),
        ({}, {"X-Container-Read": ""}, []),
    ],
)
def test_only_what_differs_is_asked_for(
    found: dict[str, str] | None, wanted: dict[str, str], asked: list[tuple[str, dict[str, str]]]
) -> None:
    cloud: Any = Cloud()
    changed = buckets.ensure_container(cloud, "文件/a", found, wanted)
    assert changed == bool(asked)
    assert cloud.object_store.asked == [
        (method, "/%E6%96%87%E4%BB%B6%2Fa", headers) for method, headers in asked
    ]


def test_with_the_old_account_goes_its_url_key() -> None:
    headers = buckets.alone_of({**WANTED, "account": "egov-files-b"}, "u2")
    assert headers == {
        buckets.READ: "p:u2",
        buckets.WRITE: "p:u2",
        buckets.URL_KEYS[0]: "",
    }


@pytest.mark.parametrize(
    ("present_gib", "used", "quota_gib", "fits"),
    [
        (2, GIB, 1, True),
        (2, GIB + 1, 1, False),
        (2, 3 * GIB, 2, True),  # writers that came at once went beyond it
        (2, 4 * GIB, 3, True),
        (4, 5 * GIB, 3, False),
    ],
)
def test_no_quota_shrinks_below_what_is_stored(
    present_gib: int, used: int, quota_gib: int, fits: bool
) -> None:
    found = {buckets.USED: str(used), buckets.QUOTA: str(present_gib * GIB)}
    if fits:
        buckets.refuse_less_than_used(found, quota_gib)
        return
    with pytest.raises(CloudError, match=r"请先删除对象.*delete objects first"):
        buckets.refuse_less_than_used(found, quota_gib)


def test_each_user_has_an_access_key_of_its_own() -> None:
    first, second = buckets.access_key_of("u1"), buckets.access_key_of("u2")
    assert first != second
    assert len(first) == len(second) == 20
    assert first.isalnum()


class Listing:
    """A store of one container: lists what is there, refuses to go while it is not empty."""

    def __init__(self, names: list[str], refusals: int) -> None:
        self.names, self.refusals, self.is_gone = names, refusals, False

    def exchange(self, method: str, _path: str, **told: Any) -> Any:
        answer = Mock(content=b"x")
        answer.json.return_value = [{"name": name} for name in self.names[:200]]
        if method == "POST":
            gone = [unquote(line).partition("/")[2] for line in told["data"].splitlines()]
            self.names = [name for name in self.names if name not in gone]
            answer.json.return_value = {"Response Status": "200 OK", "Errors": []}
        return answer

    def delete(self, _path: str) -> bool:
        if self.names or self.refusals:
            self.refusals -= 1
            raise CloudError("not empty", 409)
        self.is_gone = True
        return True


def test_a_container_goes_with_all_it_holds_and_what_comes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets.time, "sleep", lambda _seconds: None)
    store = Listing([f"目录/{number} %" for number in range(450)], refusals=2)
    buckets.delete_container(Mock(object_store=store), "files", timeout_s=60)
    assert store.is_gone
    assert store.names == []


def test_what_takes_too_long_says_that_another_run_goes_on() -> None:
    store = Listing([f"{number}" for number in range(450)], refusals=0)
    with pytest.raises(CloudError, match="the next run goes on"):
        buckets.delete_container(Mock(object_store=store), "files", timeout_s=-1)
    assert len(store.names) == 250
