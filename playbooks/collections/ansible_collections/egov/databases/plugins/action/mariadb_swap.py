"""Two databases on two servers change data; the options stand in modules/mariadb_swap.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_exchanges import Place
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_swaps import swap


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "left": {"type": "dict", "required": True},
        "right": {"type": "dict", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        left, right = Place.of(wanted["left"]), Place.of(wanted["right"])
        return swap((server, left), (self.other(server), right), given["job_number"]), {}
