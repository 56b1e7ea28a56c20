"""A restore drill; the options stand in modules/mariadb_drill.py."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.archives import prove_archive
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import Json
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import restore
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaDBAction,
    MariaServer,
    drop,
    make_account,
)


class ActionModule(MariaDBAction):
    ARGUMENTS: ClassVar[Json] = {
        "scratch": {"type": "str", "required": True},
    }

    def act(self, server: MariaServer, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        scratch, password = wanted["scratch"], secrets.token_urlsafe(24)
        started = time.monotonic()
        prove_archive(given["archive"])
        proving_s = time.monotonic() - started
        try:
            drop(server, [scratch], [scratch])
            make_account(server, scratch, password)
            restored = restore(server, given["archive"], scratch, scratch, password)
        finally:
            drop(server, [scratch], [scratch])
        return True, {
            "rows": restored.rows,
            "recovery_time_seconds": round(proving_s + restored.seconds, 2),
            "differences": list(restored.different),
        }
