#!/usr/bin/python
"""Documentation of the action plug-in of the same name: one volume of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: volume
short_description: One volume, on a server or on none, found again by its resource id
description:
  - Brings the volume of one resource of the control plane to the wanted state, in one action.
  - A second run, also after an answer of the cloud that got lost, creates nothing twice.
options:
  cloud:
    description: Entry of clouds.yaml, scoped to the department's project.
    type: str
    required: true
  resource_id:
    description: The control plane's id of the resource.
    type: str
    required: true
  state:
    description: C(absent) takes it off its server and deletes it, and is content where it is gone.
    type: str
    choices: [present, absent]
    default: present
  must_exist:
    description: With C(present), fail where the volume is not there instead of creating it.
    type: bool
    default: false
  name:
    description: Name of the volume on the cloud.
    type: str
  description:
    description: What the volume is for; shown by the cloud's own tools.
    type: str
    default: ""
  size_gib:
    description: Size in GiB; it grows, also while attached, and never shrinks.
    type: int
  type:
    description: Volume type; the cloud's default where none is named.
    type: str
  availability_zone:
    description: Where the volume stands; the cloud chooses where none is named.
    type: str
  server_resource_id:
    description: Resource id of the server it is to be attached to; none takes it off any server.
    type: str
  timeout_s:
    description: How long each step may take, in seconds.
    type: int
    default: 300
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A volume on a server
  egov.openstack.volume:
    cloud: department
    resource_id: 1f0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    name: egov-1f0e7c1e
    size_gib: 100
    type: ssd
    server_resource_id: 5c0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
"""

RETURN = r"""
outputs:
  description: What the control plane keeps about the volume.
  type: dict
  returned: where the volume exists
"""
