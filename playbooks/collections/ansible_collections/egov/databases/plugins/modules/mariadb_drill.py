#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_drill
short_description: A restore drill
description:
  - Restores the archive into a database that nobody uses, compares every row, measures the time and removes it.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  scratch:
    description: Name of the database, and of the account that loads it, for the time of the drill.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A restore drill
  egov.databases.mariadb_drill:
    scratch: dibao_1f0e7c_drill
"""

RETURN = r"""
told:
  description: Rows compared, seconds to recover, and each difference from the manifest.
  type: dict
  returned: always
"""
