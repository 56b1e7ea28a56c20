#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_take_place
short_description: What was restored becomes what a name leads to
description:
  - Moves what the name leads to out of the way, moves what was restored there, and drops what was there before; a second run of the same job goes on where the first ended.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  place:
    description: The name, with C(database), C(account), C(accounts) and C(connections).
    type: dict
    required: true
  restored:
    description: The database that was restored; it is gone afterwards.
    type: str
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: What was restored becomes what a name leads to
  egov.databases.mariadb_take_place:
    place: {database: a, account: a_a, accounts: [a_a, a_b], connections: 20}
    restored: a_restoring
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
