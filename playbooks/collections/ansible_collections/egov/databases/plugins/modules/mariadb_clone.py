#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_clone
short_description: A copy of another database, of the same server or of another
description:
  - Copies one into a new one beside the live database and compares every row; the live one is not touched.
  - A run of the same job after the two have changed places does nothing.
  - The server is that of the host's C(service_) variables; the account's password is that of C(controlplane).
  - The source is on the same server, on the one that C(source.server) of C(controlplane) or the variable
    C(service_other) names in the same words.
options:
  source:
    description: The database to copy, which stays as it is and in use.
    type: str
    required: true
  database:
    description: The live database that the copy will take the place of.
    type: str
    required: true
  into:
    description: The copy; one that is there is dropped first.
    type: str
    required: true
  account:
    description: Account that loads it, and makes what is made in it.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: A copy beside the live database
  egov.databases.mariadb_clone:
    source: dibao_4f1a2b
    database: dibao_9c03de
    into: dibao_9c03de_restoring
    account: dibao_9c03de_a
"""

RETURN = r"""
told:
  description: How many C(rows) were copied and compared, in how many C(seconds).
  type: dict
  returned: always
"""
