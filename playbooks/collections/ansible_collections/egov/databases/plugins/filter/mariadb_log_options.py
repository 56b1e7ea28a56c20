"""What a MariaDB is configured with whose binary log is archived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.egov.databases.plugins.module_utils.binary_log import options

DOCUMENTATION = r"""
---
name: mariadb_log_options
short_description: The binary log of a MariaDB, as its configuration has it
description: Lines of an option file. With C(mariadb_log_bound) it never fills its disk.
positional: _input, disk_gib, bound
options:
  _input:
    description: The folder of the log, on a disk of its own.
    type: str
    required: true
  disk_gib:
    description: How large that disk is.
    type: int
    required: true
  bound:
    description: Where the server finds the text of C(mariadb_log_bound).
    type: str
    required: true
author: Government cloud platform team
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"mariadb_log_options": options}
