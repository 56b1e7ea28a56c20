"""Settings of a database; the options stand in modules/mariadb_parameters.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_parameters import (
    PARAMETERS,
    set_parameters,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "accounts": {"type": "list", "elements": "str", "required": True},
        "own_server": {"type": "bool", "required": True},
        "wanted": {
            "type": "dict",
            "required": True,
            "options": {name: {"type": kind.__name__} for name, kind in PARAMETERS.items()},
        },
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:  # noqa: ARG002
        chosen = {name: value for name, value in wanted["wanted"].items() if value is not None}
        set_parameters(server, wanted["accounts"], chosen, is_own=wanted["own_server"])
        return True, {"parameters": chosen}
