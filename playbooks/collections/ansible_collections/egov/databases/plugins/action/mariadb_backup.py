"""A backup of one database; the options stand in modules/mariadb_backup.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_dumps import back_up
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_moments import (
    second_of,
    server_at,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
    database_exists,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        database, archive = wanted["database"], given["archive"]
        if "past" not in archive:
            return True, back_up(server, database, archive)
        past = archive["past"]
        with server_at(server, past, given["job_number"]) as then:
            with then.connect() as session:
                if not database_exists(session, database):
                    raise ArchiveError(f"there was no database {database} at {past['moment']}")
            taken_at = second_of(past["moment"]).isoformat()
            return True, {**back_up(then, database, archive), "taken_at": taken_at}
