"""An archive restored beside the live database; the options stand in modules/mariadb_restore.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.archives import prove_archive
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import accept
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_exchanges import has_begun
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import restore
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
    drop,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
        "into": {"type": "str", "required": True},
        "account": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        if has_begun(server, wanted["database"], given["job_number"]):
            return False, {}  # an earlier try of this job has come further than this
        prove_archive(given["archive"])
        into, password = wanted["into"], given["secrets"]["password"]
        restored = restore(server, given["archive"], into, wanted["account"], password)
        what = "what was restored is not what the manifest says"
        accept(restored, lambda: drop(server, [into], []), what)
        return True, {"rows": restored.rows, "recovery_time_seconds": round(restored.seconds, 2)}
