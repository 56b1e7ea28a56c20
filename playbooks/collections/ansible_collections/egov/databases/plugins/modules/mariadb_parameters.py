#!/usr/bin/python
"""Documentation of the action plug-in of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mariadb_parameters
short_description: Settings of a MariaDB database
description:
  - Sets those of a fixed list for every new session; one that is left out is the server's own again.
  - The time limit of statements is set for each account; everything else for the whole server, which must be the department's own.
  - What a server starts with the next time is the filter C(mariadb_options)'s.
  - The server is that of the host's C(service_) variables.
options:
  accounts:
    description: Every account of the database; one that is not there is left out.
    type: list
    elements: str
    required: true
  own_server:
    description: Whether the server is nobody else's.
    type: bool
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
        description: Seconds to wait for a row that another transaction has locked.
        type: int
      idle_transaction_timeout_s:
        description: Seconds after which a session that idles in a transaction is ended; 0 never.
        type: int
      sort_memory_mib:
        description: Memory of one sort.
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
  egov.databases.mariadb_parameters:
    accounts: [dibao_4f1a2b_a, dibao_4f1a2b_b]
    own_server: false
    wanted: {statement_timeout_s: 60}
"""

RETURN = r"""
told:
  description: What was set, under C(parameters).
  type: dict
  returned: always
"""
