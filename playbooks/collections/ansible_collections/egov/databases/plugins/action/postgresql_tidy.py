"""What a resource had, or an interrupted run left; the options stand in modules/postgresql_tidy.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import (
    drop_roles_of,
    drop_scratch,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "databases": {"type": "list", "elements": "str", "required": True},
        "roles": {"type": "list", "elements": "str", "default": []},
        "roles_of": {"type": "str", "default": ""},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:  # noqa: ARG002
        changed = drop_scratch(server, wanted["databases"], wanted["roles"])
        if wanted["roles_of"]:
            changed |= drop_roles_of(server, wanted["roles_of"])
        return changed, {}
