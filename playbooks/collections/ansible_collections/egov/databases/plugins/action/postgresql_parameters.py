"""Settings of a database; the options stand in modules/postgresql_parameters.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.accounts import (
    PARAMETERS,
    set_parameters,
)
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
        "wanted": {
            "type": "dict",
            "required": True,
            "options": {
                name: {"type": "int" if form != "{}" else "str"}
                for name, (_, form) in PARAMETERS.items()
            },
        },
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:  # noqa: ARG002
        chosen = {name: value for name, value in wanted["wanted"].items() if value is not None}
        with server.connect() as connection:
            set_parameters(connection, wanted["database"], chosen)
        return True, {"parameters": chosen}
