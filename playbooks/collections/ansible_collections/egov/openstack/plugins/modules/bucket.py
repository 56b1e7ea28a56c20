#!/usr/bin/python
"""Documentation of the action plug-in of the same name: object storage of one resource."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bucket
short_description: A container with a quota, and accounts that reach it alone
description:
  - Brings the object storage of one resource of the control plane to the wanted state, in one action.
  - A second run, also after an answer of the cloud that got lost, creates nothing twice.
options:
  cloud:
    description: Entry of clouds.yaml, scoped to the department's project, whose role owns its containers.
    type: str
    required: true
  admin_cloud:
    description: Entry of clouds.yaml that may make users, roles and credentials.
    type: str
    required: true
  resource_id:
    description: The control plane's id of the resource.
    type: str
    required: true
  state:
    description:
      - C(present) makes what is missing, and lets the account in, and the other one where it is there.
      - C(resized) changes the quota of what is there, and nothing else.
      - C(suspended) lets nobody in and keeps the objects.
      - C(old_ended) deletes the account that is not in force.
      - C(absent) deletes accounts, objects and container, and is content where they are gone.
    type: str
    choices: [present, resized, suspended, old_ended, absent]
    default: present
  must_exist:
    description: With C(present), fail where the container is not there instead of creating it.
    type: bool
    default: false
  name:
    description: Name of the container.
    type: str
    required: true
  accounts:
    description: The names of both accounts, which take turns at a change of keys.
    type: list
    elements: str
    required: true
  account:
    description: The one that is in force after the run.
    type: str
  secret:
    description: The account's password and the secret of its S3 key.
    type: str
  url_key:
    description: The account's key for temporary URLs.
    type: str
  project_id:
    description: The department's project.
    type: str
  domain:
    description: Where the accounts are made.
    type: str
    default: default
  quota_gib:
    description: How much may be stored, in GiB.
    type: int
  may_be_overfull:
    description: With C(resized), whether a quota below what is stored is taken; else it fails and says so.
    type: bool
    default: false
  description:
    description: What the storage is for; shown by the cloud's own tools.
    type: str
    default: ""
  timeout_s:
    description: How long deleting the objects may take, in seconds.
    type: int
    default: 600
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A bucket of 100 GiB
  egov.openstack.bucket:
    cloud: department
    admin_cloud: admin
    resource_id: 1f0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f
    name: archive-1f0e7c
    accounts: [egov-archive-1f0e7c-a, egov-archive-1f0e7c-b]
    account: egov-archive-1f0e7c-a
    secret: "{{ secret }}"
    url_key: "{{ url_key }}"
    project_id: 5c0e7c1e8a3b4e539a0e5f4f6c1d2e3f
    quota_gib: 100
"""

RETURN = r"""
outputs:
  description: What the control plane keeps about it.
  type: dict
  returned: with C(state=present); with C(state=resized) the new size
"""
