#!/usr/bin/python
"""Documentation of the action plug-in of the same name: one server with all that belongs to it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: server
short_description: One server with its port, floating address and data volumes, found again by its resource id
description:
  - Brings the server of one resource of the control plane to the wanted state, in one call.
  - Every object carries the resource id, so that a second run, also after an answer of the cloud that got lost,
    finds what the first one made and creates nothing twice.
  - One module instead of six of C(openstack.cloud), because a run of those takes longer to start than the cloud takes
    to build the server; see C(plugin_utils/rest.py).
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
  surplus_volumes:
    description: What a change does with data volumes that are not asked for any more.
    type: str
    choices: [refuse, delete]
    default: refuse
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
  egov.openstack.server:
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
