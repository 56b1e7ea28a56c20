#!/usr/bin/python
"""Documentation of the action plug-in of the same name: a security group of one resource's own."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: door
short_description: One TCP port of a machine, open for those who are named and nobody else
description:
  - A security group named after the resource, with exactly these rules, on the machine's port beside the department's group.
  - It goes with the machine (C(egov.openstack.server), C(state=absent)).
options:
  cloud:
    description: Entry of clouds.yaml, scoped to the department's project.
    type: str
    required: true
  resource_id:
    description: The control plane's id of the machine.
    type: str
    required: true
  port_id:
    description: The machine's port in the network.
    type: str
    required: true
  tcp_port:
    description: What is opened.
    type: int
    required: true
  networks:
    description: IPv4 networks that may come, such as C(10.77.3.0/24).
    type: list
    elements: str
    default: []
  security_group:
    description: The department's own group, whose machines always may.
    type: str
    required: true
  description:
    description: What it is for; shown by the cloud's own tools.
    type: str
    default: ""
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: Open for one office
  egov.openstack.door:
    cloud: department
    resource_id: 1f0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    port_id: 5c0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    tcp_port: 5432
    networks: [10.20.0.0/16]
    security_group: department
"""

RETURN = r"""
outputs:
  description: Nothing is kept of it.
  type: dict
  returned: always
"""
