#!/usr/bin/python
"""Ansible module egov_server: one server of the government cloud with its port, address and data volumes."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: egov_server
short_description: One server with its port, floating address and data volumes, found again by its resource id
description:
  - Brings the server of one resource of the control plane to the wanted state, in one call.
  - Every object carries the resource id, so that a second run, also after an answer of the cloud that got lost,
    finds what the first one made and creates nothing twice.
  - One module instead of six of C(openstack.cloud), because a run of those takes longer to start than the cloud takes
    to build the server; see C(module_utils/egov_openstack.py).
options:
  cloud:
    description: Entry of clouds.yaml, scoped to the department's project.
    type: str
    required: true
  admin_cloud:
    description: Entry of clouds.yaml of the platform's admin; used only where the flavor of this size is missing.
    type: str
  resource_id:
    description: The control plane's id of the resource.
    type: str
    required: true
  state:
    description:
      - C(present) creates or changes; C(started), C(stopped) and C(rebooted) act on a server that exists.
      - C(absent) deletes the server, its volumes, address, port and key pair, and is content where they are gone.
    type: str
    choices: [present, started, stopped, rebooted, absent]
    default: present
  must_exist:
    description: With C(present), fail where the server is not there instead of creating it.
    type: bool
    default: false
  name:
    description: Name of the server on the cloud.
    type: str
  description:
    description: What the server is for; shown by the cloud's own tools.
    type: str
    default: ""
  labels:
    description: More metadata of the server, such as the request number.
    type: dict
    default: {}
  availability_zone:
    description: Where the server stands; the cloud chooses where none is named.
    type: str
  image:
    description: Name or id of the image it starts from.
    type: str
  vcpu:
    description: Number of virtual CPUs.
    type: int
  memory_mib:
    description: Memory in MiB.
    type: int
  system_disk_gib:
    description: System disk in GiB; part of the flavor, so it grows by a resize and never shrinks.
    type: int
  network:
    description: Name of the department's network.
    type: str
  security_group:
    description: Name of the department's security group.
    type: str
  floating_network:
    description: External network that a floating address is taken from; none and the server has no such address.
    type: str
  ssh_public_key:
    description: Public key that the guest accepts.
    type: str
  data_volumes:
    description: Data volumes in order; they are added and grown, never removed or shrunk.
    type: list
    elements: dict
    default: []
    suboptions:
      size_gib:
        description: Size in GiB.
        type: int
        required: true
      type:
        description: Volume type; the cloud's default where none is named.
        type: str
  timeout_s:
    description: How long each step may take, in seconds.
    type: int
    default: 300
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A small server with one data volume
  egov_server:
    cloud: department
    admin_cloud: admin
    resource_id: 1f0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    name: egov-1f0e7c1e
    image: lab-tiny
    vcpu: 1
    memory_mib: 2048
    system_disk_gib: 40
    network: egov-mzj-internet
    security_group: egov-mzj-internet
    data_volumes:
      - size_gib: 100
        type: ssd
"""

RETURN = r"""
outputs:
  description: What the control plane keeps about the server.
  type: dict
  returned: where the server exists
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.egov_addresses import (
    delete_port,
    ensure_floating_address,
    ensure_port,
    find_port,
    release_floating_address,
)
from ansible.module_utils.egov_openstack import Cloud, CloudError, Json
from ansible.module_utils.egov_servers import (
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
from ansible.module_utils.egov_volumes import (
    attach_volume,
    delete_volumes,
    ensure_volume,
    find_volumes,
)

# Calls to the cloud that wait for nobody else go out side by side; more at once only queue in the APIs.
PARALLEL_CALLS = 4
SETTLED = (*AT_REST, "VERIFY_RESIZE")


def make_present(cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
    """Create or change the server and what belongs to it; (changed, outputs)."""
    resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        server = find_server(cloud, resource_id)
        if server is None and wanted["must_exist"]:
            raise CloudError(f"no server of this cloud carries resource id {resource_id}; there is nothing to change")
        if server and never_ran(server):
            delete_server(cloud, resource_id, timeout_s)
            server = None
        existing = pool.submit(find_volumes, cloud, resource_id)
        flavor = pool.submit(ensure_flavor, cloud, wanted["admin_cloud"], wanted)
        if server is None:
            created = True
            image = pool.submit(find_image, cloud, wanted["image"])
            port = ensure_port(cloud, wanted)
            parts = {
                "image_id": image.result()["id"],
                "flavor_id": flavor.result()["id"],
                "port_id": port["id"],
            }
            server = create_server(cloud, wanted, parts)
        else:
            created = False
            port = find_port(cloud, resource_id)
        # While the cloud builds the server, its volumes and its address come into being.
        volumes = [
            pool.submit(ensure_volume, cloud, existing.result().get(volume["slot"]), volume, timeout_s)
            for volume in volumes_wanted(wanted, existing.result())
        ]
        address = pool.submit(settle_address, cloud, wanted, port)
        server = wait_for_server(cloud, server["id"], SETTLED, timeout_s)
        resized = False
        if not created:
            server, resized = resize(cloud, server, flavor.result(), wanted)
        attached = [attach_volume(cloud, server["id"], v.result()[0]["id"], timeout_s) for v in volumes]
        changed = created or resized or address.result()[1]
        changed = changed or any(v.result()[1] for v in volumes) or any(new for _, new in attached)
        devices = [device for device, _ in attached]
        held = [dict(v.result()[0], device=device) for v, device in zip(volumes, devices, strict=True)]
    return changed, outputs_of(server, port, address.result()[0], held)


def volumes_wanted(wanted: Json, existing: dict[str, Json]) -> list[Json]:
    """The data volumes in full; CloudError where one that exists is no longer asked for."""
    full = []
    for number, volume in enumerate(wanted["data_volumes"], start=1):
        slot = f"data-{number}"
        full.append(
            {
                "resource_id": wanted["resource_id"],
                "slot": slot,
                "name": f"{wanted['name']}-{slot}",
                "description": wanted["description"],
                "size_gib": volume["size_gib"],
                "type": volume["type"],
            }
        )
    surplus = set(existing) - {volume["slot"] for volume in full}
    if surplus:
        raise CloudError(
            f"the server has data volumes {', '.join(sorted(surplus))} that are no longer asked for; "
            "a change never destroys data"
        )
    return full


def settle_address(cloud: Cloud, wanted: Json, port: Json | None) -> tuple[Json | None, bool]:
    """The floating address as wanted (None for none), and whether anything was changed."""
    if not wanted["floating_network"]:
        return None, release_floating_address(cloud, wanted["resource_id"])
    if port is None:
        raise CloudError("the server's port is gone, so it can have no floating address")
    return ensure_floating_address(cloud, wanted["resource_id"], port["id"], wanted["floating_network"])


def resize(cloud: Cloud, server: Json, flavor: Json, wanted: Json) -> tuple[Json, bool]:
    if server["flavor"]["disk"] > wanted["system_disk_gib"]:
        raise CloudError(
            f"the system disk has {server['flavor']['disk']} GiB; it cannot shrink to {wanted['system_disk_gib']} GiB"
        )
    return resize_server(cloud, server, flavor, wanted["timeout_s"])


def change_power(cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
    """Start, stop or reboot the server; (changed, outputs)."""
    resource_id = wanted["resource_id"]
    server = find_server(cloud, resource_id)
    if server is None:
        raise CloudError(f"no server of this cloud carries resource id {resource_id}")
    power = {"started": "on", "stopped": "off", "rebooted": "reboot"}[wanted["state"]]
    # A task under way, such as the stop of an earlier run, ends before the next one begins.
    server = wait_for_server(cloud, server["id"], SETTLED, wanted["timeout_s"])
    server, changed = set_power(cloud, server, power, wanted["timeout_s"])
    return changed, {"server_id": server["id"], "server_status": server["status"]}


def make_absent(cloud: Cloud, wanted: Json) -> tuple[bool, Json]:
    """Delete everything that carries the resource id; (changed, outputs)."""
    resource_id, timeout_s = wanted["resource_id"], wanted["timeout_s"]
    done = [
        release_floating_address(cloud, resource_id),
        delete_server(cloud, resource_id, timeout_s),
        delete_volumes(cloud, resource_id, timeout_s),
        delete_port(cloud, resource_id),
        delete_keypair(cloud, resource_id),
    ]
    return any(done), {}


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


def argument_spec() -> dict[str, Any]:
    volume = {"size_gib": {"type": "int", "required": True}, "type": {"type": "str"}}
    states = ["present", "started", "stopped", "rebooted", "absent"]
    return {
        "cloud": {"type": "str", "required": True},
        "admin_cloud": {"type": "str"},
        "resource_id": {"type": "str", "required": True},
        "state": {"type": "str", "choices": states, "default": "present"},
        "must_exist": {"type": "bool", "default": False},
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
        # A public key is no secret; the argument's name alone would make Ansible warn.
        "ssh_public_key": {"type": "str", "no_log": False},
        "data_volumes": {"type": "list", "elements": "dict", "default": [], "options": volume},
        "timeout_s": {"type": "int", "default": 300},
    }


def main() -> None:
    needed = ["name", "admin_cloud", "image", "vcpu", "memory_mib", "system_disk_gib", "network", "security_group"]
    module = AnsibleModule(argument_spec=argument_spec(), required_if=[("state", "present", needed)])
    act = {"present": make_present, "absent": make_absent}.get(module.params["state"], change_power)
    try:
        changed, outputs = act(Cloud(module.params["cloud"]), module.params)
    except CloudError as error:
        module.fail_json(msg=str(error), status=error.status)
    module.exit_json(changed=changed, outputs=outputs)


if __name__ == "__main__":
    main()
