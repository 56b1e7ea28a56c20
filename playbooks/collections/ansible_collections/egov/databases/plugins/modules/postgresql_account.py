#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_account
short_description: A further account of a database
description:
  - Makes an account that may write what the owner may, or only read it, or removes one; what it has made stays with the owner.
  - The server is that of the host's C(service_) variables; the password is C(controlplane.secrets.account).
options:
  database:
    description: The database.
    type: str
    required: true
  owner:
    description: The role that owns everything in it.
    type: str
    required: true
  name:
    description: The account's role.
    type: str
    required: true
  comment:
    description: Marks the role as the resource's; a role of another comment is not touched.
    type: str
    required: true
  rights:
    description: What it may do.
    type: str
    choices: [write, read]
    default: read
  state:
    description: Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: An account that may read
  egov.databases.postgresql_account:
    database: dibao_4f1a2b
    owner: dibao_4f1a2b
    name: dibao_4f1a2b_report
    comment: egov 4f1a2b00-0000-0000-0000-000000000000
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
