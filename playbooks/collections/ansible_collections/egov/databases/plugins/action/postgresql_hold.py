"""A database held to its plan's disk; the options stand in modules/postgresql_hold.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.disks import hold
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
        "limit_gib": {"type": "int", "required": True},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:  # noqa: ARG002
        held = hold(server, wanted["database"], wanted["limit_gib"])
        return held.changed, {"used_bytes": held.used_bytes, "is_read_only": held.is_read_only}
