"""What was restored becomes what a name leads to; the options stand in modules/mariadb_take_place.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_exchanges import (
    Place,
    take_place,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "place": {"type": "dict", "required": True},
        "restored": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        place = Place.of(wanted["place"])
        return take_place(server, place, wanted["restored"], given["job_number"]), {}
