"""One server with its port, floating address and data volumes; the options stand in modules/server.py."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

from ansible_collections.egov.openstack.plugins.plugin_utils.addresses import (
    delete_port,
    ensure_floating_address,
    ensure_port,
    find_port,
    release_floating_address,
)
from ansible_collections.egov.openstack.plugins.plugin_utils.cloud_action import CloudAction
from ansible_collections.egov.openstack.plugins.plugin_utils.doors import delete_door
from ansible_collections.egov.openstack.plugins.plugin_utils.rest import Cloud, CloudError, Json
from ansible_collections.egov.openstack.plugins.plugin_utils.servers import (
    AT_REST,
    create_server,
    delete_keypair,
    delete_server,
    ensure_flavor,
    find_image,
    find_server,
    never_ran,
    resize_server,
    set_power,
    wait_for_server,
)
from ansible_collections.egov.openstack.plugins.plugin_utils.volumes import (
    attach_volume,
    delete_volumes,
    ensure_volume,
    find_volumes,
    remove_volume,
)

# Calls to the cloud that wait for nobody else go out side by side; more at once only queue in the APIs.
PARALLEL_CALLS = 4
# An interrupted resize is taken up where it stands.
SETTLED = (*AT_REST, "VERIFY_RESIZE")
POWER_OF_STATE = {"started": "on", "stopped": "off", "rebooted": "reboot"}


class ActionModule(CloudAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "cloud": {"type": "str", "required": True},
        "admin_cloud": {"type": "str"},
        "resource_id": {"type": "str", "required": True},
        "state": {
            "type": "str",
            "choices": ["present", "absent", *POWER_OF_STATE],
            "default": "present",
        },
        "must_exist": {"type": "bool", "default": False},
        "surplus_volumes": {"type": "str", "choices": ["refuse", "delete"], "default": "refuse"},
        "name": {"type": "str"},
        "description": {"type": "str", "default": ""},
        "labels": {"type": "dict", "default": {}},
        "availability_zone": {"type": "str"},
        "image": {"type": "str"},
        "vcpu": {"type": "int"},
        "memory_mib": {"type": "int"},
        "system_disk_gib": {"type": "int"},
        "network": {"type": "str"},
        "security_group": {"type": "str"},
        "floating_network": {"type": "str"},
        "ssh_public_key": {"type": "str", "no_log": False},
        "data_volumes": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"size_gib": {"type": "int", "required": True}, "type": {"type": "str"}},
        },
        "timeout_s": {"type": "int", "default": 300},
    }
    REQUIRED_IF: ClassVar[list[tuple[str, str, list[str]]]] = [
        (
            "state",
            "present",
            [
                "name",
                "admin_cloud",
                "image",
                "vcpu",
                "memory_mib",
                "system_disk_gib",
                "network",
                "security_group",
            ],
        )
    ]

    def act(self, cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
        if wanted["state"] == "absent":
            return delete_everything(cloud, wanted), {}
        if wanted["state"] in POWER_OF_STATE:
            return change_power(cloud, wanted)
        server = find_server(cloud, wanted["resource_id"])
        if server and never_ran(server):
            # What an earlier try left behind is of no use to anybody.
            delete_server(cloud, wanted["resource_id"], wanted["timeout_s"])
            server = None
        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            if server:
                return Change(cloud, wanted, pool).carry_out(server)
            if wanted["must_exist"]:
                raise no_server(wanted["resource_id"])
            return build(cloud, wanted, pool)


def build(cloud: Cloud, wanted: Json, pool: ThreadPoolExecutor) -> tuple[bool, Json]:
    """Create the server; its volumes come into being while the cloud builds it, its address while it boots.

    The server's build is a dozen calls to the network service: an address asked for meanwhile makes the machine late,
    and nobody can reach it before it has booted.
    """
    resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
    image = pool.submit(find_image, cloud, wanted["image"])
    flavor = pool.submit(ensure_flavor, cloud, wanted["admin_cloud"], wanted)
    existing = pool.submit(find_volumes, cloud, resource_id) if wanted["data_volumes"] else None
    port = ensure_port(cloud, wanted)
    parts = {
        "image_id": image.result()["id"],
        "flavor_id": flavor.result()["id"],
        "port_id": port["id"],
    }
    create_server(cloud, wanted, parts)
    volumes = submit_volumes(pool, cloud, wanted, existing.result() if existing else {})
    server = wait_for_server(cloud, resource_id, SETTLED, timeout_s)
    address = (
        pool.submit(settle_address, cloud, wanted, port) if wanted["floating_network"] else None
    )
    held, _ = attach_all(cloud, server, volumes, timeout_s)
    return True, outputs_of(server, port, address.result()[0] if address else None, held)


@dataclass
class Change:
    """A server that exists, brought to another size, other volumes or another address.

    What the cloud may refuse, the resize, comes before what cannot be taken back, the growth of volumes: a change that
    fails can then be undone.
    """

    cloud: Cloud
    wanted: Json
    pool: ThreadPoolExecutor

    def carry_out(self, server: Json) -> tuple[bool, Json]:
        cloud, wanted = self.cloud, self.wanted
        resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
        existing = self.pool.submit(find_volumes, cloud, resource_id)
        port = self.pool.submit(find_port, cloud, resource_id)
        flavor = ensure_flavor(cloud, wanted["admin_cloud"], wanted)
        surplus = self._surplus(existing.result())
        server = wait_for_server(cloud, resource_id, SETTLED, timeout_s)
        server, resized = resize_server(cloud, resource_id, server, flavor, timeout_s)
        address = self.pool.submit(settle_address, cloud, wanted, port.result())
        volumes = submit_volumes(self.pool, cloud, wanted, existing.result())
        held, attached = attach_all(cloud, server, volumes, timeout_s)
        for volume in surplus:
            remove_volume(cloud, volume, timeout_s)
        resized_or_moved = resized or address.result()[1]
        changed = (
            resized_or_moved or attached or bool(surplus) or any(v.result()[1] for v in volumes)
        )
        return changed, outputs_of(server, port.result(), address.result()[0], held)

    def _surplus(self, existing: dict[str, Json]) -> list[Json]:
        """Volumes that are no longer asked for; CloudError where they may not go."""
        kept = {volume["slot"] for volume in volumes_wanted(self.wanted)}
        surplus = [volume for slot, volume in existing.items() if slot not in kept]
        if surplus and self.wanted["surplus_volumes"] == "refuse":
            names = ", ".join(volume["name"] for volume in surplus)
            raise CloudError(f"{names} would have to go, and a change never destroys data")
        return surplus


def delete_everything(cloud: Cloud, wanted: Json) -> bool:
    """Delete all that carries the resource id; whether there was anything."""
    resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
    done = [
        release_floating_address(cloud, resource_id),
        delete_server(cloud, resource_id, timeout_s),
        delete_volumes(cloud, resource_id, timeout_s),
        delete_port(cloud, resource_id),
        delete_door(cloud, resource_id),
        delete_keypair(cloud, resource_id),
    ]
    return any(done)


def change_power(cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
    """Start, stop or reboot the server; (changed, outputs)."""
    resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
    if find_server(cloud, resource_id) is None:
        raise no_server(resource_id)
    # A task under way, such as the stop of an earlier run, ends before the next one begins.
    server = wait_for_server(cloud, resource_id, SETTLED, timeout_s)
    power = POWER_OF_STATE[wanted["state"]]
    server, changed = set_power(cloud, resource_id, server, power, timeout_s)
    return changed, {"server_id": server["id"], "server_status": server["status"]}


def volumes_wanted(wanted: Json) -> list[Json]:
    """The data volumes in full, each in its slot: the first asked for is data-1, and stays it."""
    return [
        {
            "resource_id": wanted["resource_id"],
            "slot": f"data-{number}",
            "name": f"{wanted['name']}-data-{number}",
            "description": wanted["description"],
            "availability_zone": wanted["availability_zone"],
            **volume,
        }
        for number, volume in enumerate(wanted["data_volumes"], start=1)
    ]


def submit_volumes(
    pool: ThreadPoolExecutor, cloud: Cloud, wanted: Json, existing: dict[str, Json]
) -> list[Future[tuple[Json, bool]]]:
    return [
        pool.submit(ensure_volume, cloud, existing.get(volume["slot"]), volume, wanted["timeout_s"])
        for volume in volumes_wanted(wanted)
    ]


def attach_all(
    cloud: Cloud, server: Json, volumes: list[Future[tuple[Json, bool]]], timeout_s: float
) -> tuple[list[Json], bool]:
    """The volumes with their `device` in the server, in order, and whether any had to be attached."""
    held, any_new = [], False
    for future in volumes:
        volume = future.result()[0]
        device, is_new = attach_volume(cloud, server["id"], volume["id"], timeout_s)
        held.append({**volume, "device": device})
        any_new = any_new or is_new
    return held, any_new


def settle_address(cloud: Cloud, wanted: Json, port: Json | None) -> tuple[Json | None, bool]:
    """The floating address as wanted (None for none), and whether anything was changed."""
    if not wanted["floating_network"]:
        return None, release_floating_address(cloud, wanted["resource_id"])
    if port is None:
        raise CloudError("the server's port is gone, so it can have no floating address")
    return ensure_floating_address(
        cloud, wanted["resource_id"], port["id"], wanted["floating_network"]
    )


def no_server(resource_id: str) -> CloudError:
    return CloudError(f"no server in this project carries resource id {resource_id}")


def outputs_of(server: Json, port: Json | None, address: Json | None, volumes: list[Json]) -> Json:
    fixed = [ip["ip_address"] for ip in port["fixed_ips"]] if port else []
    return {
        "server_id": server["id"],
        "server_name": server["name"],
        "server_status": server["status"],
        "flavor": server["flavor"]["original_name"],
        "image_id": server["image"]["id"] if server["image"] else None,
        "availability_zone": server["OS-EXT-AZ:availability_zone"],
        "port_id": port["id"] if port else None,
        "addresses": {
            "fixed": fixed[0] if fixed else None,
            "floating": address["floating_ip_address"] if address else None,
        },
        "volume_ids": [volume["id"] for volume in volumes],
        "volumes": [
            {
                "id": volume["id"],
                "name": volume["name"],
                "size_gib": volume["size"],
                "type": volume["volume_type"],
                "device": volume["device"],
            }
            for volume in volumes
        ],
    }
