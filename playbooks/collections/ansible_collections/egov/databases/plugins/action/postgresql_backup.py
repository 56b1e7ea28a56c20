"""A backup of one database; the options stand in modules/postgresql_backup.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.dumps import dump
from ansible_collections.egov.databases.plugins.plugin_utils.moments import server_at
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, database_exists


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {"database": {"type": "str", "required": True}}

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        database, archive = wanted["database"], given["archive"]
        if "past" not in archive:
            return True, dump(server, database, archive)
        past = archive["past"]
        with server_at(server, past, given["job_number"]) as then:
            with then.connect() as connection:
                if not database_exists(connection, database):
                    raise ArchiveError(f"there was no database {database} at {past['moment']}")
            return True, {**dump(then, database, archive), "taken_at": past["moment"]}
