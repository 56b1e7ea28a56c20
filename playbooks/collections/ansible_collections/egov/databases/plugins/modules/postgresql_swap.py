#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_swap
short_description: Two databases on two servers change data
description:
  - Closes both, copies each beside the other, compares every row; then what was copied takes its place, there and here.
  - The first server is that of the host's C(service_) variables; the other has the same in C(service_other), kept out of the arguments.
options:
  left:
    description: A name with C(database), C(owner), C(accounts), C(connections) and C(comment).
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
  egov.databases.postgresql_swap:
    left: {database: a, owner: a, accounts: [a_a, a_b], connections: 20, comment: egov 1}
    right: {database: b, owner: b, accounts: [b_a, b_b], connections: 20, comment: egov 2}
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
