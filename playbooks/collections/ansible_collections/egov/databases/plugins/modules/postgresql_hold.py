#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_hold
short_description: A database is held to its plan's disk
description:
  - Measures it. One that has more than its plan is closed for writing and its sessions end; one that has not is open again.
  - The server is that of the host's C(service_) variables.
options:
  database:
    description: The database.
    type: str
    required: true
  limit_gib:
    description: What its plan has.
    type: int
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: Not more than the plan has
  egov.databases.postgresql_hold:
    database: dibao_4f1a2b
    limit_gib: 5
"""

RETURN = r"""
told:
  description: What it takes (C(used_bytes)) and whether it is closed (C(is_read_only)).
  type: dict
  returned: always
"""
