"""The file that a MariaDB's configuration includes, of what its department has set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_parameters import options_file

DOCUMENTATION = r"""
---
name: mariadb_options
short_description: Settings of a department as MariaDB starts with them
description: The text of an option file; see M(egov.databases.mariadb_parameters) for their names.
options:
  _input:
    description: Values by name.
    type: dict
    required: true
author: Government cloud platform team
"""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"mariadb_options": options_file}
