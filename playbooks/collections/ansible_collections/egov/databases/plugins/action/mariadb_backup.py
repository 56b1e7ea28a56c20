"""A backup of one database; the options stand in modules/mariadb_backup.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_dumps import back_up
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        return True, back_up(server, wanted["database"], given["archive"])
