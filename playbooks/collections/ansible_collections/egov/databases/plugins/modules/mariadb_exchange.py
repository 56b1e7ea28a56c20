#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_exchange
short_description: Two databases change what is in them
description:
  - Each name, with its accounts, leads to the other's data afterwards; a second run of the same job goes on where the first ended.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
options:
  left:
    description: A name with C(database), C(account), C(accounts) and C(connections).
    type: dict
    required: true
  right:
    description: The other, in the same words.
    type: dict
    required: true
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: Two databases change what is in them
  egov.databases.mariadb_exchange:
    left: {database: a, account: a_a, accounts: [a_a, a_b], connections: 20}
    right: {database: b, account: b_a, accounts: [b_a, b_b], connections: 20}
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
