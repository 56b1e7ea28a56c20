"""What bounds the binary log of a MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.egov.databases.plugins.module_utils.binary_log import bound_of

DOCUMENTATION = r"""
---
name: mariadb_log_bound
short_description: What bounds the binary log of a MariaDB
description: Statements that the server begins with, as its C(init-file); see C(mariadb_log_options).
options:
  _input:
    description: The administrator in whose name the log is purged.
    type: str
    required: true
author: Government cloud platform team
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"mariadb_log_bound": bound_of}
