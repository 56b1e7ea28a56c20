"""Two databases on two servers change data; the options stand in modules/postgresql_swap.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import Place
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server
from ansible_collections.egov.databases.plugins.plugin_utils.swaps import swap


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "left": {"type": "dict", "required": True},
        "right": {"type": "dict", "required": True},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        left, right = Place.of(wanted["left"]), Place.of(wanted["right"])
        return swap((server, left), (self.other(server), right), given["job_number"]), {}
