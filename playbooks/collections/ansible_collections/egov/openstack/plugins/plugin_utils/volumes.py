"""Volumes of one resource: found by the tag they carry, created, grown, attached, detached, deleted."""

from __future__ import annotations

from typing import Any

from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    RESOURCE_ID_KEY,
    SLOT_KEY,
    Cloud,
    CloudError,
    Json,
    create_once,
    wait_until,
)

AT_REST = ("available", "in-use")
# How long the cloud may be about an attachment that it took from an earlier run and does not list yet.
ATTACHMENT_SHOWS_WITHIN_S = 20


def find_volumes(cloud: Cloud, resource_id: str) -> dict[str, Json]:
    """Every volume tagged with the resource id, by its slot ("data-1"); oldest first where a slot has two."""
    query = {"metadata": str({RESOURCE_ID_KEY: resource_id}), "sort": "created_at:asc"}
    by_slot: dict[str, Json] = {}
    for volume in cloud.volume.get("/volumes/detail", **query)["volumes"]:
        # The filter is the cloud's; whether it was applied is ours to check before anything is changed or deleted.
        if volume["metadata"].get(RESOURCE_ID_KEY) == resource_id:
            by_slot.setdefault(volume["metadata"].get(SLOT_KEY, volume["id"]), volume)
    return by_slot


def ensure_volume(
    cloud: Cloud, existing: Json | None, wanted: Json, timeout_s: float
) -> tuple[Json, bool]:
    """The volume as wanted, at rest, and whether anything was changed.

    `wanted`: resource_id, slot, name, description, size_gib, type (or None for the cloud's default),
    availability_zone (or None). A volume only grows; a smaller size is refused.
    """
    if existing is None:
        volume = create_once(
            lambda: cloud.volume.post("/volumes", {"volume": _new_volume(wanted)})["volume"],
            lambda: find_volumes(cloud, wanted["resource_id"]).get(wanted["slot"]),
        )
        return wait_for_volume(cloud, volume["id"], AT_REST, timeout_s), True
    volume = wait_for_volume(cloud, existing["id"], AT_REST, timeout_s)
    if volume["size"] > wanted["size_gib"]:
        raise CloudError(
            f"volume {wanted['name']} has {volume['size']} GiB; it cannot shrink to {wanted['size_gib']} GiB"
        )
    if volume["size"] == wanted["size_gib"]:
        return volume, False
    cloud.volume.post(
        f"/volumes/{volume['id']}/action", {"os-extend": {"new_size": wanted["size_gib"]}}
    )
    return wait_for_volume(cloud, volume["id"], AT_REST, timeout_s, wanted["size_gib"]), True


def wait_for_volume(
    cloud: Cloud,
    volume_id: str,
    states: tuple[str, ...],
    timeout_s: float,
    size_gib: int | None = None,
) -> Json:
    """The volume once it is in one of `states` (and of `size_gib`); CloudError where it ends in an error state."""

    def check() -> Json | None:
        volume = cloud.volume.get(f"/volumes/{volume_id}")["volume"]
        if volume["status"].startswith("error"):
            raise CloudError(f"volume {volume['name']} ended in state {volume['status']}")
        arrived = volume["status"] in states and size_gib in (None, volume["size"])
        return volume if arrived else None

    return wait_until(check, f"volume {volume_id} {' or '.join(states)}", timeout_s)


def attachments_of(cloud: Cloud, server_id: str) -> dict[str, str]:
    """The device name of each volume that the server holds, by volume id."""
    listed = cloud.compute.get(f"/servers/{server_id}/os-volume_attachments")["volumeAttachments"]
    return {attachment["volumeId"]: attachment["device"] for attachment in listed}


def attach_volume(
    cloud: Cloud, server_id: str, volume_id: str, timeout_s: float
) -> tuple[str, bool]:
    """The device name of the volume in the server, and whether it had to be attached.

    CloudError where another server holds the volume.
    """
    attached = attachments_of(cloud, server_id)
    changed = volume_id not in attached
    if changed:
        volume = wait_for_volume(cloud, volume_id, AT_REST, timeout_s)
        if volume["status"] == "in-use":
            holders = ", ".join(a["server_id"] for a in volume["attachments"])
            raise CloudError(f"volume {volume['name']} is attached to another server: {holders}")
        _attach(cloud, server_id, volume_id)
    wait_for_volume(cloud, volume_id, ("in-use",), timeout_s)
    device = wait_until(
        lambda: attachments_of(cloud, server_id).get(volume_id),
        f"volume {volume_id} on server {server_id}",
        timeout_s,
    )
    return device, changed


def _attach(cloud: Cloud, server_id: str, volume_id: str) -> None:
    """Ask for the attachment; an earlier run may have asked already, which shows only when the cloud is through."""
    path = f"/servers/{server_id}/os-volume_attachments"
    try:
        create_once(
            lambda: cloud.compute.post(path, {"volumeAttachment": {"volumeId": volume_id}}),
            lambda: attachments_of(cloud, server_id).get(volume_id) and {},
        )
    except CloudError as error:
        if error.status not in (400, 409):
            raise
        try:
            wait_until(
                lambda: attachments_of(cloud, server_id).get(volume_id),
                f"the attachment of volume {volume_id} asked for before",
                ATTACHMENT_SHOWS_WITHIN_S,
            )
        except CloudError:
            raise error from None


def detach_volume(cloud: Cloud, volume_id: str, timeout_s: float) -> bool:
    """Take the volume off whichever server holds it; False where none did."""
    volume = cloud.volume.get(f"/volumes/{volume_id}")["volume"]
    for attachment in volume["attachments"]:
        cloud.compute.delete(
            f"/servers/{attachment['server_id']}/os-volume_attachments/{volume_id}"
        )
    if volume["status"] == "available":
        return False
    wait_for_volume(cloud, volume_id, ("available",), timeout_s)
    return True


def remove_volume(cloud: Cloud, volume: Json, timeout_s: float) -> None:
    """Take one volume off its server and delete it with what is on it."""
    detach_volume(cloud, volume["id"], timeout_s)
    cloud.volume.delete(f"/volumes/{volume['id']}")
    wait_until(
        lambda: None if cloud.volume.find(f"/volumes/{volume['id']}") else True,
        f"deletion of volume {volume['name']}",
        timeout_s,
    )


def delete_volumes(cloud: Cloud, resource_id: str, timeout_s: float) -> bool:
    """Delete every volume tagged with the resource id and wait until they are gone; False where there was none."""
    volumes = find_volumes(cloud, resource_id)
    if not volumes:
        return False

    def check() -> bool | None:
        remaining = find_volumes(cloud, resource_id).values()
        for volume in remaining:
            # Detaching goes on for a moment after its server is gone; an error state may be deleted as it is.
            if volume["status"] == "available" or volume["status"].startswith("error"):
                cloud.volume.delete(f"/volumes/{volume['id']}")
        return None if remaining else True

    names = ", ".join(volume["name"] for volume in volumes.values())
    return wait_until(check, f"deletion of volumes {names}", timeout_s)


def _new_volume(wanted: Json) -> dict[str, Any]:
    body = {
        "name": wanted["name"],
        "description": wanted["description"],
        "size": wanted["size_gib"],
        "metadata": {RESOURCE_ID_KEY: wanted["resource_id"], SLOT_KEY: wanted["slot"]},
    }
    for optional, field in (("type", "volume_type"), ("availability_zone", "availability_zone")):
        if wanted.get(optional):
            body[field] = wanted[optional]
    return body
