"""The port of one resource and its floating address: found by the tag they carry, created, released."""

from __future__ import annotations

from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    Cloud,
    CloudError,
    Json,
    create_once,
)


def object_name(resource_id: str) -> str:
    """The name of an object that only its name can tag: the whole resource id, so that a look-up is exact."""
    return f"egov-{resource_id}"


def find_named(cloud: Cloud, path: str, name: str, what: str) -> Json:
    """The one network, subnet, security group ... of that name; CloudError where there is none or more than one."""
    key = path.strip("/").replace("-", "_")
    found = cloud.network.get(path, name=name)[key]
    if len(found) != 1:
        raise CloudError(
            f"{len(found)} {what}s are named {name!r} in this project, exactly one is needed; "
            "playbooks/ops/onboard.yml sets a department up"
        )
    return found[0]


def find_port(cloud: Cloud, resource_id: str) -> Json | None:
    ports = cloud.network.get("/ports", name=object_name(resource_id))["ports"]
    return ports[0] if ports else None


def ensure_port(cloud: Cloud, wanted: Json) -> Json:
    """The port of the resource on its department's network.

    `wanted`: resource_id, network and security_group (names), description. The port is made before the server: it
    tells the address early, and a second server for the same resource cannot take the same port.
    """
    port = find_port(cloud, wanted["resource_id"])
    if port:
        return port
    network = find_named(cloud, "/networks", wanted["network"], "network")
    group = find_named(cloud, "/security-groups", wanted["security_group"], "security group")
    body = {
        "name": object_name(wanted["resource_id"]),
        "description": wanted["description"],
        "network_id": network["id"],
        "security_groups": [group["id"]],
    }
    return create_once(
        lambda: cloud.network.post("/ports", {"port": body})["port"],
        lambda: find_port(cloud, wanted["resource_id"]),
    )


def delete_port(cloud: Cloud, resource_id: str) -> bool:
    port = find_port(cloud, resource_id)
    return bool(port) and cloud.network.delete(f"/ports/{port['id']}")


def find_floating_address(cloud: Cloud, resource_id: str) -> Json | None:
    # A floating address has no name; its description can be asked for and holds the tag.
    found = cloud.network.get("/floatingips", description=object_name(resource_id))["floatingips"]
    return found[0] if found else None


def ensure_floating_address(
    cloud: Cloud, resource_id: str, port_id: str, external_network: str
) -> tuple[Json, bool]:
    """The floating address of the resource on its port, and whether anything was changed."""
    address = find_floating_address(cloud, resource_id)
    if address and address["port_id"] == port_id:
        return address, False
    if address:
        body = {"floatingip": {"port_id": port_id}}
        return cloud.network.put(f"/floatingips/{address['id']}", body)["floatingip"], True
    network = find_named(cloud, "/networks", external_network, "external network")
    body = {
        "floating_network_id": network["id"],
        "port_id": port_id,
        "description": object_name(resource_id),
    }
    created = create_once(
        lambda: cloud.network.post("/floatingips", {"floatingip": body})["floatingip"],
        lambda: find_floating_address(cloud, resource_id),
    )
    return created, True


def release_floating_address(cloud: Cloud, resource_id: str) -> bool:
    address = find_floating_address(cloud, resource_id)
    return bool(address) and cloud.network.delete(f"/floatingips/{address['id']}")
