"""Object storage of one resource: a container, and the accounts that reach it and nothing else.

An account is a user of keystone with a role that no service grants anything for; what lets it in is the container's
own access list. The same secret is its password (swift's own API) and its EC2 key (S3), so that a change of keys is a
change of accounts. Temporary URLs have two keys by swift's own design; each account brings one of them.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any
from urllib.parse import quote

from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    POLL_INTERVAL_S,
    Cloud,
    CloudError,
    Json,
    create_once,
)

BYTES_OF_GIB = 1 << 30
# Without it keystone gives no token for a project; it must stand in no service's policy.
ROLE = "object-storage-key"
# Which of the two keys for temporary URLs is whose, by the account's place in the list of both.
URL_KEYS = ("X-Container-Meta-Temp-URL-Key", "X-Container-Meta-Temp-URL-Key-2")
READ, WRITE = "X-Container-Read", "X-Container-Write"
QUOTA = "X-Container-Meta-Quota-Bytes"
RESOURCE = "X-Container-Meta-Egov-Resource-Id"
USED = "X-Container-Bytes-Used"
# What takes away everything that lets anybody in.
CLOSED = dict.fromkeys((READ, WRITE, *URL_KEYS), "")
# So many objects are deleted by one call; it must end within the time limit of one.
DELETED_AT_ONCE = 200
# What nobody changes by hand must not expire, or wait for a first change.
USER_OPTIONS = {
    "ignore_change_password_upon_first_use": True,
    "ignore_password_expiry": True,
    "ignore_user_inactivity": True,
}


# --- the container ------------------------------------------------------------------------------


def container_of(cloud: Cloud, name: str, resource_id: str) -> Any | None:
    """Its headers, or None where it is not there; CloudError where it is another resource's."""
    try:
        headers = cloud.object_store.exchange("HEAD", _path(name)).headers
    except CloudError as error:
        if error.status == 404:
            return None
        raise
    if headers.get(RESOURCE) != resource_id:
        raise CloudError(f"container {name} is there, and is not of resource {resource_id}")
    return headers


def ensure_container(cloud: Cloud, name: str, found: Any | None, wanted: dict[str, str]) -> bool:
    """The container with the `wanted` headers; an empty one is taken away. True where it was not so."""
    differing = {k: v for k, v in wanted.items() if found is None or found.get(k, "") != v}
    if found is not None and not differing:
        return False
    headers = {_remove(name) if v == "" else name: v or "x" for name, v in differing.items()}
    cloud.object_store.exchange("PUT" if found is None else "POST", _path(name), headers=headers)
    return True


def headers_of(wanted: Json, user_ids: list[str], *, is_old_kept: bool) -> dict[str, str]:
    """What the container says of itself, and whom it lets in; the old account's key for URLs stays
    as it is where that account does."""
    mine = wanted["accounts"].index(wanted["account"])
    return {
        RESOURCE: wanted["resource_id"],
        **quota_of(wanted["quota_gib"]),
        **_let_in(wanted["project_id"], user_ids),
        URL_KEYS[mine]: wanted["url_key"],
        **({} if is_old_kept else {URL_KEYS[1 - mine]: ""}),
    }


def alone_of(wanted: Json, user_id: str) -> dict[str, str]:
    """What makes the account in force the only one."""
    mine = wanted["accounts"].index(wanted["account"])
    return {**_let_in(wanted["project_id"], [user_id]), URL_KEYS[1 - mine]: ""}


def quota_of(quota_gib: int) -> dict[str, str]:
    return {QUOTA: str(quota_gib * BYTES_OF_GIB)}


def refuse_less_than_used(found: Any, quota_gib: int) -> None:
    """CloudError, in words for the department, where a quota shrinks below what is stored. One that
    grows is taken, also where more is stored than it ever allowed."""
    used, present = int(found.get(USED, 0)), int(found.get(QUOTA, 0))
    wanted = quota_gib * BYTES_OF_GIB
    if wanted < min(used, present):
        shown = f"{used / BYTES_OF_GIB:.2f}"
        raise CloudError(
            f"已存 {shown} GiB，多于新的容量 {quota_gib} GiB：请先删除对象 · "
            f"{shown} GiB are stored, more than the new {quota_gib} GiB: delete objects first"
        )


def delete_container(cloud: Cloud, name: str, timeout_s: float) -> None:
    """The container with every object in it. CloudError after `timeout_s`; another run goes on from there."""
    deadline = time.monotonic() + timeout_s
    while True:
        while names := _objects(cloud, name):
            _delete_objects(cloud, name, names)
            _check_time(name, deadline)
        try:
            cloud.object_store.delete(_path(name))
        except CloudError as error:
            if error.status != 409:
                raise
            # An object came late, or is not written off yet.
            _check_time(name, deadline)
            time.sleep(POLL_INTERVAL_S)
        else:
            return


def _check_time(name: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CloudError(
            f"container {name} still holds objects; the next run goes on deleting them"
        )


def _objects(cloud: Cloud, name: str) -> list[str]:
    path = f"{_path(name)}?format=json&limit={DELETED_AT_ONCE}"
    try:
        answer = cloud.object_store.exchange("GET", path)
    except CloudError as error:
        if error.status == 404:
            return []
        raise
    return [found["name"] for found in answer.json()] if answer.content else []


def _delete_objects(cloud: Cloud, name: str, names: list[str]) -> None:
    answer = cloud.object_store.exchange(
        "POST",
        "?bulk-delete",
        data="".join(f"{quote(f'{name}/{found}')}\n" for found in names),
        headers={"Content-Type": "text/plain", "Accept": "application/json"},
    ).json()
    if answer.get("Errors") or not str(answer.get("Response Status", "")).startswith("2"):
        raise CloudError(f"objects of container {name} were not deleted: {str(answer)[:300]}")


def _path(name: str) -> str:
    return f"/{quote(name, safe='')}"


def _let_in(project_id: str, user_ids: list[str]) -> dict[str, str]:
    accounts = ",".join(f"{project_id}:{user_id}" for user_id in user_ids)
    return {READ: accounts, WRITE: accounts}


def _remove(header: str) -> str:
    return header.replace("X-", "X-Remove-", 1)


# --- accounts -----------------------------------------------------------------------------------


def find_account(admin: Cloud, name: str, domain: str) -> Json | None:
    """The user of that name, or None."""
    users = admin.identity.get("/users", name=name, domain_id=domain)["users"]
    return users[0] if users else None


def ensure_account(admin: Cloud, account: Json) -> tuple[str, str, bool]:
    """The account's user id and access key, and whether anything was changed.

    `account`: name, domain, project_id, secret, description. The credential is written last: where it holds the
    secret, the password does too.
    """
    user = find_account(admin, account["name"], account["domain"])
    is_new = user is None
    if user is None:
        user = create_once(
            lambda: admin.identity.post("/users", {"user": _new_user(account)})["user"],
            lambda: find_account(admin, account["name"], account["domain"]),
        )
    granted = _grant(admin, account["project_id"], user["id"])
    access = access_key_of(user["id"])
    blob = {"access": access, "secret": account["secret"]}
    stored = admin.identity.find(_credential(access))
    if stored is not None and json.loads(stored["credential"]["blob"]) == blob:
        return user["id"], access, granted or is_new
    if not is_new:
        admin.identity.patch(f"/users/{user['id']}", {"user": {"password": account["secret"]}})
    if stored is not None:
        admin.identity.delete(_credential(access))
    admin.identity.post(
        "/credentials",
        {
            "credential": {
                "type": "ec2",
                "user_id": user["id"],
                "project_id": account["project_id"],
                "blob": json.dumps(blob),
            }
        },
    )
    return user["id"], access, True


def delete_account(admin: Cloud, name: str, domain: str) -> bool:
    """The user, and with it its tokens, role and credentials; False where there was none."""
    user = find_account(admin, name, domain)
    return user is not None and admin.identity.delete(f"/users/{user['id']}")


def access_key_of(user_id: str) -> str:
    """Another one for each user, so that no key comes back that was valid before."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:20].upper()


def _credential(access: str) -> str:
    # keystone's own rule for the id of an EC2 credential.
    return f"/credentials/{hashlib.sha256(access.encode()).hexdigest()}"


def _new_user(account: Json) -> Json:
    return {
        "name": account["name"],
        "domain_id": account["domain"],
        "default_project_id": account["project_id"],
        "password": account["secret"],
        "description": account["description"],
        "options": USER_OPTIONS,
    }


def _grant(admin: Cloud, project_id: str, user_id: str) -> bool:
    role_id = (_role(admin) or _make_role(admin))["id"]
    path = f"/projects/{project_id}/users/{user_id}/roles"
    if any(found["id"] == role_id for found in admin.identity.get(path)["roles"]):
        return False
    admin.identity.put(f"{path}/{role_id}", {})
    return True


def _role(admin: Cloud) -> Json | None:
    roles = admin.identity.get("/roles", name=ROLE)["roles"]
    return roles[0] if roles else None


def _make_role(admin: Cloud) -> Json:
    """Once a cloud; two first orders may come at the same time."""
    try:
        return admin.identity.post("/roles", {"role": {"name": ROLE}})["role"]
    except CloudError as error:
        made = _role(admin)
        if made is None:
            raise error
        return made
