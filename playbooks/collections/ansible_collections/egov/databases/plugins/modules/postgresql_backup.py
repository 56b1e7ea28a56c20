#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_backup
short_description: A backup of one database
description:
  - Dumps the database into the backup store, encrypted on the way, and measures its rows in the same snapshot.
  - Where C(controlplane.archive) has C(past), it is of the database as it was at that moment; the server is made anew on this host,
    of its base backup and its archived log, by the programs of C(service_log_tools), or of C(service_tools) where the host names no others.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  database:
    description: The database.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A backup of one database
  egov.databases.postgresql_backup:
    database: dibao_1f0e7c
"""

RETURN = r"""
told:
  description: When it was taken, its size, and the manifest with rows and checksum of each table, objects, versions.
  type: dict
  returned: always
"""
