#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_restore
short_description: An archive restored beside a live database
description:
  - Proves the archive, restores it into a database of its own and compares every row with the manifest; the live database is not touched.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  database:
    description: The live database, which tells whether this job has come further already.
    type: str
    required: true
  into:
    description: The database that is made for what is restored.
    type: str
    required: true
  account:
    description: The account that loads it, and that uses it afterwards.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: An archive restored beside a live database
  egov.databases.mariadb_restore:
    database: dibao_1f0e7c
    into: dibao_1f0e7c_restoring
    account: dibao_1f0e7c_a
"""

RETURN = r"""
told:
  description: Rows restored and the seconds it took; nothing where an earlier try had done it.
  type: dict
  returned: always
"""
