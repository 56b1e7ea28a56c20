"""Object storage of one resource; the options stand in modules/bucket.py."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from ansible_collections.egov.openstack.plugins.plugin_utils import buckets
from ansible_collections.egov.openstack.plugins.plugin_utils.cloud_action import CloudAction
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import Cloud, CloudError, Json


class ActionModule(CloudAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "cloud": {"type": "str", "required": True},
        "admin_cloud": {"type": "str", "required": True},
        "resource_id": {"type": "str", "required": True},
        "state": {
            "type": "str",
            "choices": ["present", "resized", "suspended", "old_ended", "absent"],
            "default": "present",
        },
        "must_exist": {"type": "bool", "default": False},
        "name": {"type": "str", "required": True},
        "accounts": {"type": "list", "elements": "str", "required": True},
        "account": {"type": "str"},
        "secret": {"type": "str", "no_log": True},
        "url_key": {"type": "str", "no_log": True},
        "project_id": {"type": "str"},
        "domain": {"type": "str", "default": "default"},
        "quota_gib": {"type": "int"},
        "may_be_overfull": {"type": "bool", "default": False},
        "description": {"type": "str", "default": ""},
        "timeout_s": {"type": "int", "default": 600},
    }
    REQUIRED_IF: ClassVar[list[tuple[str, str, list[str]]]] = [
        ("state", "present", ["account", "secret", "url_key", "project_id", "quota_gib"]),
        ("state", "resized", ["quota_gib"]),
        ("state", "old_ended", ["account", "project_id"]),
    ]

    def act(self, cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
        admin = Cloud(wanted["admin_cloud"])
        name, state = wanted["name"], wanted["state"]
        found = buckets.container_of(cloud, name, wanted["resource_id"])
        if state == "absent":
            return remove(cloud, admin, wanted, found), {}
        if found is None and (wanted["must_exist"] or state != "present"):
            raise CloudError(f"container {name} is not there")
        if state == "suspended":
            return buckets.ensure_container(cloud, name, found, buckets.CLOSED), {}
        if state == "resized":
            return resize(cloud, wanted, found)
        if state == "old_ended":
            return end_old(cloud, admin, wanted, found), {}
        return bring(cloud, admin, wanted, found)


def bring(cloud: Cloud, admin: Cloud, wanted: Json, found: Any | None) -> tuple[bool, Json]:
    """Container and account as wanted, the old account beside it, and what is kept of them."""
    old = buckets.find_account(admin, other_of(wanted), wanted["domain"])
    user_id, access_key, made = buckets.ensure_account(admin, {**wanted, "name": wanted["account"]})
    user_ids = [user_id, *([old["id"]] if old else [])]
    headers = buckets.headers_of(wanted, user_ids, is_old_kept=bool(old))
    put = buckets.ensure_container(cloud, wanted["name"], found, headers)
    return made or put, outputs_of(cloud, wanted, access_key)


def resize(cloud: Cloud, wanted: Json, found: Any) -> tuple[bool, Json]:
    """The quota alone: what is suspended stays so."""
    if not wanted["may_be_overfull"]:
        buckets.refuse_less_than_used(found, wanted["quota_gib"])
    headers = buckets.quota_of(wanted["quota_gib"])
    put = buckets.ensure_container(cloud, wanted["name"], found, headers)
    return put, {"quota_gib": wanted["quota_gib"]}


def end_old(cloud: Cloud, admin: Cloud, wanted: Json, found: Any) -> bool:
    """The other account and its key for URLs go; what is suspended stays so."""
    gone = buckets.delete_account(admin, other_of(wanted), wanted["domain"])
    account = buckets.find_account(admin, wanted["account"], wanted["domain"])
    if account is None or not found.get(buckets.READ):
        return gone
    headers = buckets.alone_of(wanted, account["id"])
    return buckets.ensure_container(cloud, wanted["name"], found, headers) or gone


def other_of(wanted: Json) -> str:
    return next(name for name in wanted["accounts"] if name != wanted["account"])


def outputs_of(cloud: Cloud, wanted: Json, access_key: str) -> Json:
    swift_url = cloud.object_store.address.rstrip("/")
    parts = urlsplit(swift_url)
    return {
        "container": wanted["name"],
        "s3_endpoint": f"{parts.scheme}://{parts.netloc}",
        "swift_url": swift_url,
        "url_path": f"{parts.path}/{wanted['name']}",
        "auth_url": cloud.auth_url,
        "region": cloud.region,
        "username": wanted["account"],
        "domain": wanted["domain"],
        "project_id": wanted["project_id"],
        "access_key": access_key,
        "quota_gib": wanted["quota_gib"],
    }


def remove(cloud: Cloud, admin: Cloud, wanted: Json, found: Any | None) -> bool:
    """First the accounts: after that nobody writes any more."""
    gone = [buckets.delete_account(admin, name, wanted["domain"]) for name in wanted["accounts"]]
    if found is not None:
        buckets.ensure_container(cloud, wanted["name"], found, buckets.CLOSED)
        buckets.delete_container(cloud, wanted["name"], wanted["timeout_s"])
    return any(gone) or found is not None
