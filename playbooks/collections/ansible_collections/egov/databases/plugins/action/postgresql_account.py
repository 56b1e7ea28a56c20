"""A further account of a database; the options stand in modules/postgresql_account.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.egov.databases.plugins.plugin_utils.accounts import (
    READ,
    WRITE,
    make_account,
    remove_account,
)
from ansible_collections.egov.databases.plugins.plugin_utils.database_action import (
    DatabaseAction,
    Json,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server


class ActionModule(DatabaseAction):
    ARGUMENTS: ClassVar[Json] = {
        "database": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "comment": {"type": "str", "required": True},
        "rights": {"type": "str", "choices": [WRITE, READ], "default": READ},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        of = (server, wanted["database"], wanted["owner"], wanted["name"])
        if wanted["state"] == "absent":
            return remove_account(*of, wanted["comment"]), {}
        password = given["secrets"]["account"]
        return make_account(*of, wanted["rights"], password, wanted["comment"]), {}
