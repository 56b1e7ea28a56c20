#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_swap
short_description: Two databases on two servers change data
description:
  - Closes both, copies each beside the other, compares every row; then what was copied takes its place, there and here.
  - The first server is that of the host's C(service_) variables; the other has the same in C(service_other), kept out of the arguments.
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
- name: Two databases on two servers change data
  egov.databases.mariadb_swap:
    left: {database: a, account: a_a, accounts: [a_a, a_b], connections: 20}
    right: {database: b, account: b_a, accounts: [b_a, b_b], connections: 20}
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
