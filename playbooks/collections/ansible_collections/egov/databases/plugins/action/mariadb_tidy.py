"""What a resource had, or an interrupted run left; the options stand in modules/mariadb_tidy.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
    drop,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "databases": {"type": "list", "elements": "str", "default": []},
        "accounts": {"type": "list", "elements": "str", "default": []},
        "accounts_like": {"type": "str", "default": ""},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:  # noqa: ARG002
        changed = drop(server, wanted["databases"], wanted["accounts"], wanted["accounts_like"])
        return changed, {}
