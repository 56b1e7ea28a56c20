"""An archive restored beside the live database; the options stand in modules/postgresql_restore.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.archives import prove_archive
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import is_exchanged
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import accept
from ansible_collections.egov.databases.plugins.plugin_utils.restores import restore
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import drop_scratch
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
        "into": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "account": {"type": "str", "required": True},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        with server.connect() as connection:
            if is_exchanged(connection, wanted["database"], given["job_number"]):
                return False, {}  # an earlier try of this job has come further than this
        prove_archive(given["archive"])
        into = wanted["into"]
        restored = restore(
            server,
            given["archive"],
            into,
            wanted["owner"],
            wanted["account"],
            given["secrets"]["password"],
        )
        what = "what was restored is not what the manifest says"
        accept(restored, lambda: drop_scratch(server, [into], []), what)
        return True, {"rows": restored.rows, "recovery_time_seconds": round(restored.seconds, 2)}
