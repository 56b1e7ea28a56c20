"""One volume of its own, on a server or on none; the options stand in modules/volume.py."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.egov.openstack.plugins.plugin_utils.cloud_action import CloudAction
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import Cloud, CloudError, Json
from ansible_collections.egov.openstack.plugins.plugin_utils.servers import find_server
from ansible_collections.egov.openstack.plugins.plugin_utils.volumes import (
    attach_volume,
    delete_volumes,
    detach_volume,
    ensure_volume,
    find_volumes,
)

SLOT = "volume"


class ActionModule(CloudAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "cloud": {"type": "str", "required": True},
        "resource_id": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "must_exist": {"type": "bool", "default": False},
        "name": {"type": "str"},
        "description": {"type": "str", "default": ""},
        "size_gib": {"type": "int"},
        "type": {"type": "str"},
        "availability_zone": {"type": "str"},
        "server_resource_id": {"type": "str"},
        "timeout_s": {"type": "int", "default": 300},
    }
    REQUIRED_IF: ClassVar[list[tuple[str, str, list[str]]]] = [
        ("state", "present", ["name", "size_gib"])
    ]

    def act(self, cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
        if wanted["state"] == "absent":
            return remove(cloud, wanted), {}
        existing = find_volumes(cloud, wanted["resource_id"]).get(SLOT)
        if existing is None and wanted["must_exist"]:
            raise CloudError(
                f"no volume in this project carries resource id {wanted['resource_id']}"
            )
        asked = {**wanted, "slot": SLOT}
        volume, changed = ensure_volume(cloud, existing, asked, wanted["timeout_s"])
        device, server_id, moved = place(cloud, volume, wanted)
        return changed or moved, {
            "volume_id": volume["id"],
            "volume_name": volume["name"],
            "size_gib": volume["size"],
            "type": volume["volume_type"],
            "server_id": server_id,
            "device": device,
        }


def place(cloud: Cloud, volume: Json, wanted: Json) -> tuple[str | None, str | None, bool]:
    """Puts the volume on the wanted server, or on none: (device, server id, whether it moved)."""
    holders = {attachment["server_id"] for attachment in volume["attachments"]}
    if not wanted["server_resource_id"]:
        return None, None, detach_volume(cloud, volume["id"], wanted["timeout_s"])
    server = find_server(cloud, wanted["server_resource_id"])
    if server is None:
        raise CloudError(
            f"no server in this project carries resource id {wanted['server_resource_id']}"
        )
    moved = bool(holders - {server["id"]})
    if moved:
        detach_volume(cloud, volume["id"], wanted["timeout_s"])
    device, attached = attach_volume(cloud, server["id"], volume["id"], wanted["timeout_s"])
    return device, server["id"], moved or attached


def remove(cloud: Cloud, wanted: Json) -> bool:
    """Takes the volume off its server and deletes it; False where there was none."""
    for volume in find_volumes(cloud, wanted["resource_id"]).values():
        detach_volume(cloud, volume["id"], wanted["timeout_s"])
    return delete_volumes(cloud, wanted["resource_id"], wanted["timeout_s"])
