"""What the action plug-ins of this collection share: the server, the archive in hand, readable failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import psycopg
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.endpoints import (
    OPTIONAL_VARIABLES,
    SERVER_VARIABLES,
    Endpoint,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server

Json = dict[str, Any]


class DatabaseAction(ActionBase):
    """One thing done with a department's database; a subclass names its arguments and does it.

    An archive with its key, and passwords, come from the play's variable `controlplane` and not from arguments: those
    are written to the run's events. Of PostgreSQL, where a subclass does not name another engine.
    """

    _requires_connection = False
    ARGUMENTS: ClassVar[Json]
    SERVER: ClassVar[type[Endpoint]] = Server
    TITLE: ClassVar[str] = "PostgreSQL"
    ERRORS: ClassVar[type[Exception]] = psycopg.Error

    def act(self, server: Any, wanted: Json, given: Mapping[str, Any]) -> tuple[bool, Json]:
        """Do it; (whether anything was changed, what the play may report)."""
        raise NotImplementedError

    def other(self, server: Any) -> Any:
        """The second server of the play, as `service_other` names it; without it the first again."""
        if "service_other" not in self.variables:
            return server
        return self.SERVER.of(self._templar.template(self.variables["service_other"]))

    def source(self, server: Any, given: Mapping[str, Any]) -> Any:
        """The server of what is cloned: told with it, or as above."""
        told = given["source"].get("server")
        return self.SERVER.of(told) if told else self.other(server)

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        variables = self.variables = task_vars or {}
        result = super().run(tmp, variables)
        _, wanted = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        names = [*SERVER_VARIABLES, *(name for name in OPTIONAL_VARIABLES if name in variables)]
        try:
            host = {name: self._templar.template(variables[name]) for name in names}
            changed, told = self.act(self.SERVER.of(host), wanted, variables["controlplane"])
        except ArchiveError as error:
            raise AnsibleActionFail(str(error)) from None  # Ansible would repeat each cause
        except self.ERRORS as error:
            raise AnsibleActionFail(f"{self.TITLE}: {readable(error)}") from None
        return {**result, "changed": changed, "told": told}


def readable(error: Exception) -> str:
    """What a server said, without a driver's number before it."""
    said = error.args[-1] if error.args else error
    return str(said).strip()
