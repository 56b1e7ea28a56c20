"""A copy of another database; the options stand in modules/postgresql_clone.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.clones import clone
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import is_exchanged
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import accept
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import drop_scratch
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "source": {"type": "str", "required": True},
        "database": {"type": "str", "required": True},
        "into": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "account": {"type": "str", "required": True},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        with server.connect() as connection:
            if is_exchanged(connection, wanted["database"], given["job_number"]):
                return False, {}  # an earlier try of this job has come further than this
        into, password = wanted["into"], given["secrets"]["password"]
        to = (into, wanted["owner"], wanted["account"], password, server)
        cloned = clone(self.source(server, given), wanted["source"], *to)
        accept(cloned, lambda: drop_scratch(server, [into], []), "the copy is not what was copied")
        return True, {"rows": cloned.rows, "seconds": round(cloned.seconds, 2)}
