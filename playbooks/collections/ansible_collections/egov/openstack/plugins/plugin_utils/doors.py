"""The security group of one resource's own: which port of its machine is open, and for whom."""

from __future__ import annotations

from ansible_collections.egov.openstack.plugins.plugin_utils.addresses import (
    find_named,
    object_name,
)
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import (
    Cloud,
    CloudError,
    Json,
    create_once,
)


def find_group(cloud: Cloud, resource_id: str) -> Json | None:
    name = object_name(resource_id)
    found = cloud.network.get("/security-groups", name=name)["security_groups"]
    return found[0] if found else None


def ensure_door(cloud: Cloud, wanted: Json) -> bool:
    """The group with exactly the rules wanted, on the port; whether anything had to be changed.

    `wanted`: resource_id, port_id, tcp_port, networks (CIDR), security_group (the department's, whose members always get
    in), description.
    """
    members = find_named(cloud, "/security-groups", wanted["security_group"], "security group")
    group, changed = _ensure_group(cloud, wanted)
    rules = {_of_rule(rule): rule["id"] for rule in group["security_group_rules"]}
    rules = {key: id_ for key, id_ in rules.items() if key[0] == "ingress"}
    port = int(wanted["tcp_port"])
    asked = {("ingress", port, port, network, None) for network in wanted["networks"]}
    asked.add(("ingress", port, port, None, members["id"]))
    # What is to be shut is shut before anything is opened.
    for key in rules.keys() - asked:
        cloud.network.delete(f"/security-group-rules/{rules[key]}")
    for key in sorted(asked - rules.keys(), key=str):
        _open(cloud, group["id"], key)
    return (
        _ensure_on_port(cloud, wanted["port_id"], group["id"]) or changed or rules.keys() != asked
    )


def delete_door(cloud: Cloud, resource_id: str) -> bool:
    """Once its port is gone; False where there was none."""
    group = find_group(cloud, resource_id)
    return bool(group) and cloud.network.delete(f"/security-groups/{group['id']}")


def _ensure_group(cloud: Cloud, wanted: Json) -> tuple[Json, bool]:
    group = find_group(cloud, wanted["resource_id"])
    if group:
        return group, False
    body = {
        "name": object_name(wanted["resource_id"]),
        "description": wanted["description"],
    }
    created = create_once(
        lambda: cloud.network.post("/security-groups", {"security_group": body})["security_group"],
        lambda: find_group(cloud, wanted["resource_id"]),
    )
    return created, True


def _of_rule(rule: Json) -> tuple[str, int | None, int | None, str | None, str | None]:
    return (
        rule["direction"],
        rule["port_range_min"],
        rule["port_range_max"],
        rule["remote_ip_prefix"],
        rule["remote_group_id"],
    )


def _open(cloud: Cloud, group_id: str, key: tuple[str, int, int, str | None, str | None]) -> None:
    direction, first, last, network, members = key
    rule = {
        "security_group_id": group_id,
        "direction": direction,
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": first,
        "port_range_max": last,
        "remote_ip_prefix": network,
        "remote_group_id": members,
    }
    try:
        cloud.network.post("/security-group-rules", {"security_group_rule": rule})
    except CloudError as error:
        if error.status != 409:  # an earlier run made it, and its answer was lost
            raise


def _ensure_on_port(cloud: Cloud, port_id: str, group_id: str) -> bool:
    port = cloud.network.get(f"/ports/{port_id}")["port"]
    if group_id in port["security_groups"]:
        return False
    groups = [*port["security_groups"], group_id]
    cloud.network.put(f"/ports/{port_id}", {"port": {"security_groups": groups}})
    return True
