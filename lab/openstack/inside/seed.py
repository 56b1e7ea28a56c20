"""Makes the first contents of the cloud by its own APIs; the order comes as JSON on standard input.

Everything is looked up by name first, so it may run any number of times.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import openstack
from openstack.connection import Connection

from lab.openstack.inside.parent import die_with_parent

PHYSICAL_NETWORK = "public"


def volume_types(cloud: Connection, names: list[str]) -> None:
    """Volume types that every pool's volume service can serve."""
    for name in names:
        if cloud.block_storage.find_type(name) is None:
            cloud.block_storage.create_type(name=name)


def availability_zones(cloud: Connection, pools: list[dict[str, str]]) -> None:
    """One aggregate a pool, which makes its host an availability zone of the pool's code."""
    existing = {aggregate.name: aggregate for aggregate in cloud.compute.aggregates()}
    for pool in pools:
        aggregate = existing.get(pool["code"]) or cloud.compute.create_aggregate(
            name=pool["code"], availability_zone=pool["code"]
        )
        if pool["host"] not in (aggregate.hosts or []):
            cloud.compute.add_host_to_aggregate(aggregate, pool["host"])
        if (aggregate.metadata or {}).get("zone") != pool["zone"]:
            cloud.compute.set_aggregate_metadata(aggregate, {"zone": pool["zone"]})


def flavor(cloud: Connection, wanted: dict[str, Any]) -> None:
    """The one flavor that is there before any plan."""
    if cloud.compute.find_flavor(wanted["name"]) is None:
        cloud.compute.create_flavor(**wanted)


def images(cloud: Connection, wanted: list[dict[str, Any]]) -> None:
    """Public images, each with its properties; `image:<name>` stands for that image's id."""
    for image in wanted:
        if cloud.image.find_image(image["name"]) is None:
            disk_format = image["disk_format"]
            cloud.image.create_image(
                image["name"],
                filename=image["file"],
                disk_format=disk_format,
                # glance wants a kernel and a ramdisk (aki, ari) to be their own containers
                container_format=disk_format if disk_format in ("aki", "ari") else "bare",
                visibility="public",
                min_disk=0,
                min_ram=0,
                wait=True,
                validate_checksum=False,
                **{name: _with_id(cloud, value) for name, value in image["properties"].items()},
            )


def _with_id(cloud: Connection, value: str) -> str:
    """A server's image names its kernel by id, which only this cloud knows."""
    name = value.removeprefix("image:")
    return value if name == value else str(cloud.image.find_image(name, ignore_missing=False).id)


def external_network(cloud: Connection, wanted: dict[str, str]) -> None:
    """The network of the floating addresses."""
    network = cloud.network.find_network(wanted["name"]) or cloud.network.create_network(
        name=wanted["name"],
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=PHYSICAL_NETWORK,
    )
    if not list(cloud.network.subnets(network_id=network.id)):
        cloud.network.create_subnet(
            name=wanted["name"],
            network_id=network.id,
            ip_version=4,
            cidr=wanted["cidr"],
            gateway_ip=wanted["gateway"],
            is_dhcp_enabled=False,
            allocation_pools=[{"start": wanted["first"], "end": wanted["last"]}],
        )


def object_storage(cloud: Connection, wanted: dict[str, str], region: str) -> None:
    """swift's user and its place in the catalogue: not at keystone's own first rows as the others',
    since it may be missing, and since a cloud that was made without it gets it too."""
    identity: Any = cloud.identity
    user = identity.find_user("swift") or identity.create_user(
        name="swift", domain_id="default", password=wanted["password"]
    )
    project = identity.find_project("service", ignore_missing=False)
    for role in ("admin", "service"):
        role_id = identity.find_role(role, ignore_missing=False)
        identity.assign_project_role_to_user(project, user, role_id)
    service = identity.find_service("swift") or identity.create_service(
        name="swift", type="object-store"
    )
    known = {e.interface for e in identity.endpoints(service_id=service.id)}
    for interface in {"public", "internal", "admin"} - known:
        identity.create_endpoint(
            service_id=service.id, interface=interface, url=wanted["url"], region_id=region
        )


def main() -> None:
    die_with_parent()
    order = json.load(sys.stdin)
    cloud = openstack.connect(
        auth=order["auth"],
        region_name=order["region"],
        load_yaml_config=False,
        load_envvars=False,
    )
    availability_zones(cloud, order["pools"])
    volume_types(cloud, order["volume_types"])
    flavor(cloud, order["flavor"])
    images(cloud, order["images"])
    external_network(cloud, order["external"])
    if order["object_storage"]:
        object_storage(cloud, order["object_storage"], order["region"])


if __name__ == "__main__":
    main()
