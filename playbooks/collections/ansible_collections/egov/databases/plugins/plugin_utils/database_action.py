"""What the action plug-ins of this collection share: the server, the archive in hand, readable failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import psycopg
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.servers import SERVER_VARIABLES, Server

Json = dict[str, Any]


class DatabaseAction(ActionBase):
    """One thing done with a department's database; a subclass names its arguments and does it.

    An archive with its key, and passwords, come from the play's variable `controlplane` and not from arguments: those
    are written to the run's events.
    """

    _requires_connection = False
    ARGUMENTS: ClassVar[Json]

    def act(self, server: Server, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        """Do it; (whether anything was changed, what the play may report)."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        _, wanted = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            host = {name: self._templar.template(variables[name]) for name in SERVER_VARIABLES}
            changed, told = self.act(Server.of(host), wanted, variables["controlplane"])
        except ArchiveError as error:
            raise AnsibleActionFail(str(error)) from None  # Ansible would repeat each cause
        except psycopg.Error as error:
            raise AnsibleActionFail(f"PostgreSQL: {str(error).strip()}") from None
        return {**result, "changed": changed, "told": told}
