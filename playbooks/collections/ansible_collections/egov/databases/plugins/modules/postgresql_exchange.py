#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_exchange
short_description: Two databases change places
description:
  - Each name leads to the other's data afterwards, owned by the name's own roles; a second run of the same job changes nothing.
  - The server is that of the host's C(service_) variables; archive, key and passwords are those of C(controlplane).
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
- name: Two databases change places
  egov.databases.postgresql_exchange:
    left: {database: a, owner: a, accounts: [a_a, a_b], connections: 20, comment: egov 1}
    right: {database: b, owner: b, accounts: [b_a, b_b], connections: 20, comment: egov 2}
"""

RETURN = r"""
told:
  description: Nothing.
  type: dict
  returned: always
"""
