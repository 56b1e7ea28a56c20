"""A copy of another database; the options stand in modules/mariadb_clone.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import accept
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_clones import clone
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_exchanges import has_begun
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
    drop,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "source": {"type": "str", "required": True},
        "database": {"type": "str", "required": True},
        "into": {"type": "str", "required": True},
        "account": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        database, into = wanted["database"], wanted["into"]
        if has_begun(server, database, given["job_number"]):
            return False, {}  # an earlier try of this job has come further than this
        other, password = self.source(server, given), given["secrets"]["password"]
        to = (server, database, into, wanted["account"], password)
        cloned = clone(other, wanted["source"], *to)
        accept(cloned, lambda: drop(server, [into], []), "the copy is not what was copied")
        return True, {"rows": cloned.rows, "seconds": round(cloned.seconds, 2)}
