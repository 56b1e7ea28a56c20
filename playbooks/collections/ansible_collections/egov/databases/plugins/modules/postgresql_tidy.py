#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_tidy
short_description: Removes databases and roles
description:
  - Drops what is there of them, and is content where nothing is.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  databases:
    description: Databases to drop.
    type: list
    elements: str
    required: true
  roles:
    description: Roles to drop after them.
    type: list
    elements: str
    default: []
  roles_of:
    description: Roles that carry this comment are dropped too.
    type: str
    default: ""
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: Removes what an interrupted restore left
  egov.databases.postgresql_tidy:
    databases: [dibao_1f0e7c_restoring]
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
