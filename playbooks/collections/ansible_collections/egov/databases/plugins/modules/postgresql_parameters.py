#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: postgresql_parameters
short_description: Settings of a database
description:
  - Sets those of a fixed list for every new session of the database; one that is left out is the server's own again.
  - The server is that of the host's C(service_) variables.
options:
  database:
    description: The database.
    type: str
    required: true
  wanted:
    description: Values by name.
    type: dict
    required: true
    suboptions:
      statement_timeout_s:
        description: Seconds after which a statement is ended; 0 never.
        type: int
      lock_timeout_s:
        description: Seconds to wait for a lock; 0 without end.
        type: int
      idle_in_transaction_timeout_s:
        description: Seconds after which a session that idles in a transaction is ended; 0 never.
        type: int
      work_mem_mib:
        description: Memory of one sort or hash.
        type: int
      isolation:
        description: Isolation of a transaction.
        type: str
      time_zone:
        description: Time zone of sessions.
        type: str
author: Government cloud platform team
"""

EXAMPLES = r"""
- name: No statement runs longer than a minute
  egov.databases.postgresql_parameters:
    database: dibao_4f1a2b
    wanted: {statement_timeout_s: 60}
"""

RETURN = r"""
told:
  description: What was set, under C(parameters).
  type: dict
  returned: always
"""
