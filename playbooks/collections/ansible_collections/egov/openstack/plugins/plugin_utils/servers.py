"""The server of one resource: found by the tag it carries, created, resized, powered, deleted."""

from __future__ import annotations

import re

from ansible_collections.egov.openstack.plugins.plugin_utils.addresses import object_name
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    RESOURCE_ID_KEY,
    Cloud,
    CloudError,
    Json,
    create_once,
    wait_until,
)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
AT_REST = ("ACTIVE", "SHUTOFF")
# How long a confirmation that an earlier run asked for may take.
CONFIRMED_WITHIN_S = 30


def find_server(cloud: Cloud, resource_id: str) -> Json | None:
    """The server tagged with the resource id; CloudError where there are two, which only a person can decide."""
    # The short listing costs the cloud a third of the detailed one, and mostly there is nothing to find.
    servers = cloud.compute.get("/servers", tags=object_name(resource_id))["servers"]
    if len(servers) > 1:
        ids = ", ".join(server["id"] for server in servers)
        raise CloudError(f"{len(servers)} servers carry resource id {resource_id}: {ids}")
    found = cloud.compute.find(f"/servers/{servers[0]['id']}") if servers else None
    return found["server"] if found else None


def find_image(cloud: Cloud, image: str) -> Json:
    """The newest active image of that name or id."""
    if UUID.fullmatch(image):
        found = cloud.image.find(f"/images/{image}")
        images = [found] if found else []
    else:
        images = cloud.image.get("/images", name=image, status="active", sort="created_at:desc")[
            "images"
        ]
    if not images:
        raise CloudError(f"this cloud has no active image {image!r}")
    return images[0]


def ensure_flavor(cloud: Cloud, admin_cloud_name: str, size: Json) -> Json:
    """The flavor (id, name, disk_gib) of `size` (vcpu, memory_mib, system_disk_gib).

    Its id is made of the size, so that anybody finds it with one call. A missing one is added by the platform's admin.
    """
    name = f"gov.{size['vcpu']}c{size['memory_mib']}m{size['system_disk_gib']}d"
    flavor = {"id": name, "name": name, "disk_gib": size["system_disk_gib"]}
    if cloud.compute.find(f"/flavors/{name}"):
        return flavor
    body = {
        "id": name,
        "name": name,
        "vcpus": size["vcpu"],
        "ram": size["memory_mib"],
        "disk": size["system_disk_gib"],
    }
    try:
        # Signed in as the admin only where it is needed: an admin's token is the dangerous one.
        Cloud(admin_cloud_name).compute.post("/flavors", {"flavor": body})
    except CloudError as error:
        # Another order of the same size was quicker, or somebody made the flavor by hand under another id.
        if error.status != 409:
            raise
        if not cloud.compute.find(f"/flavors/{name}"):
            flavor["id"] = _flavor_id_named(cloud, name)
    return flavor


def create_server(cloud: Cloud, wanted: Json, parts: Json) -> Json:
    """Ask for the server; it is not yet running when this returns.

    `wanted`: resource_id, name, description, availability_zone, ssh_public_key, labels. `parts`: image_id, flavor_id,
    port_id.
    """
    tag = object_name(wanted["resource_id"])
    body = {
        "name": wanted["name"],
        "description": wanted["description"],
        "imageRef": parts["image_id"],
        "flavorRef": parts["flavor_id"],
        "networks": [{"port": parts["port_id"]}],
        "tags": [tag],
        "metadata": {RESOURCE_ID_KEY: wanted["resource_id"], **wanted["labels"]},
    }
    if wanted["availability_zone"]:
        body["availability_zone"] = wanted["availability_zone"]
    if wanted["ssh_public_key"]:
        _add_keypair(cloud, tag, wanted["ssh_public_key"])
        body["key_name"] = tag
    server = create_once(
        lambda: cloud.compute.post("/servers", {"server": body})["server"],
        lambda: find_server(cloud, wanted["resource_id"]),
    )
    # Nova copied the key into the server. Key pairs belong to the platform's user, who may hold only a hundred.
    delete_keypair(cloud, wanted["resource_id"])
    return server


def wait_for_server(
    cloud: Cloud, resource_id: str, states: tuple[str, ...], timeout_s: float
) -> Json:
    """The server once it is in one of `states` with no task under way; CloudError with nova's reason on ERROR."""
    # Asked so, the cloud looks into one table; the server itself, with its addresses, is read once at the end.
    query = {"tags": object_name(resource_id), "status": [*states, "ERROR"]}

    def check() -> Json | None:
        listed = cloud.compute.get("/servers", **query)["servers"]
        if not listed:
            return None
        server = cloud.compute.get(f"/servers/{listed[0]['id']}")["server"]
        if server["status"] == "ERROR" and "ERROR" not in states:
            raise CloudError(f"server {server['name']} ended in ERROR: {fault_of(server)}")
        settled = server["status"] in states and server["OS-EXT-STS:task_state"] is None
        return server if settled else None

    return wait_until(check, f"server of {resource_id} {' or '.join(states)}", timeout_s)


def resize_server(
    cloud: Cloud, resource_id: str, server: Json, flavor: Json, timeout_s: float
) -> tuple[Json, bool]:
    """The server with the wanted flavor (id, name), confirmed, and whether it had to be resized.

    It keeps its power state. A smaller system disk is refused here: the cloud says so only in an error state.
    """
    if server["status"] == "VERIFY_RESIZE":
        # An earlier run was ended between the resize and its confirmation.
        server = _confirm_earlier_resize(cloud, resource_id, server, timeout_s)
    if server["flavor"]["original_name"] == flavor["name"]:
        return server, False
    if server["flavor"]["disk"] > flavor["disk_gib"]:
        raise CloudError(
            f"the system disk has {server['flavor']['disk']} GiB; it cannot shrink to {flavor['disk_gib']} GiB"
        )
    cloud.compute.post(f"/servers/{server['id']}/action", {"resize": {"flavorRef": flavor["id"]}})
    resized = wait_for_server(cloud, resource_id, ("VERIFY_RESIZE", *AT_REST), timeout_s)
    if (
        resized["status"] != "VERIFY_RESIZE"
        and resized["flavor"]["original_name"] != flavor["name"]
    ):
        # Nova answers a resize that no host can take by leaving the server as it was, with the reason in its actions.
        raise CloudError(f"server {server['name']} was not resized: {_last_failure(cloud, server)}")
    return _confirm_resize(cloud, resource_id, timeout_s), True


def set_power(
    cloud: Cloud, resource_id: str, server: Json, power: str, timeout_s: float
) -> tuple[Json, bool]:
    """The server started, stopped or rebooted (`power`: on, off, reboot), and whether anything was done."""
    wanted = {"on": "ACTIVE", "off": "SHUTOFF", "reboot": "ACTIVE"}[power]
    if power == "reboot" and server["status"] != "ACTIVE":
        raise CloudError(
            f"server {server['name']} is {server['status']}; only a running one reboots"
        )
    if power != "reboot" and server["status"] == wanted:
        return server, False
    action: Json = {
        "on": {"os-start": None},
        "off": {"os-stop": None},
        "reboot": {"reboot": {"type": "SOFT"}},
    }[power]
    cloud.compute.post(f"/servers/{server['id']}/action", action)
    return wait_for_server(cloud, resource_id, (wanted,), timeout_s), True


def delete_server(cloud: Cloud, resource_id: str, timeout_s: float) -> bool:
    """Delete the server and wait until it is gone; False where there was none."""
    server = find_server(cloud, resource_id)
    if server is None:
        return False
    cloud.compute.delete(f"/servers/{server['id']}")
    wait_until(
        lambda: None if cloud.compute.find(f"/servers/{server['id']}") else True,
        f"deletion of server {server['name']}",
        timeout_s,
    )
    return True


def delete_keypair(cloud: Cloud, resource_id: str) -> bool:
    return cloud.compute.delete(f"/os-keypairs/{object_name(resource_id)}")


def never_ran(server: Json) -> bool:
    """True for a server that failed before it ever started: there is nothing on it to lose."""
    return server["status"] == "ERROR" and not server.get("OS-SRV-USG:launched_at")


def fault_of(server: Json) -> str:
    return server.get("fault", {}).get("message", "the cloud gives no reason")


def _add_keypair(cloud: Cloud, name: str, public_key: str) -> None:
    try:
        cloud.compute.post(
            "/os-keypairs", {"keypair": {"name": name, "public_key": public_key, "type": "ssh"}}
        )
    except CloudError as error:
        # An earlier run of this order was ended before it took its key pair away again.
        if error.status != 409:
            raise


def _confirm_earlier_resize(cloud: Cloud, resource_id: str, server: Json, timeout_s: float) -> Json:
    """The confirmation is waited for where that run asked for it already: a second one under way beside the first
    leaves the server in ERROR."""
    actions = cloud.compute.get(f"/servers/{server['id']}/os-instance-actions")["instanceActions"]
    if actions and actions[0]["action"] == "confirmResize":
        try:
            return wait_for_server(cloud, resource_id, AT_REST, min(CONFIRMED_WITHIN_S, timeout_s))
        except CloudError:
            pass  # it was lost: ask again
    return _confirm_resize(cloud, resource_id, timeout_s)


def _confirm_resize(cloud: Cloud, resource_id: str, timeout_s: float) -> Json:
    server = find_server(cloud, resource_id)
    if server and server["status"] == "VERIFY_RESIZE":
        try:
            cloud.compute.post(f"/servers/{server['id']}/action", {"confirmResize": None})
        except CloudError as error:
            # An earlier run confirmed it already; the state only shows it when the cloud is through.
            if error.status not in (400, 409):
                raise
    return wait_for_server(cloud, resource_id, AT_REST, timeout_s)


def _flavor_id_named(cloud: Cloud, name: str) -> str:
    for flavor in cloud.compute.get("/flavors/detail", limit=1000)["flavors"]:
        if flavor["name"] == name:
            return flavor["id"]
    raise CloudError(f"flavor {name!r} exists on this cloud but is not open to this project")


def _last_failure(cloud: Cloud, server: Json) -> str:
    path = f"/servers/{server['id']}/os-instance-actions"
    actions = cloud.compute.get(path)["instanceActions"]
    if not actions:
        return "the cloud gives no reason"
    latest = cloud.compute.get(f"{path}/{actions[0]['request_id']}")["instanceAction"]
    events = [event for event in latest.get("events", []) if event.get("result") != "Success"]
    reasons = [event.get("details") or event["event"] for event in events]
    return reasons[0] if reasons else (latest.get("message") or "the cloud gives no reason")
