"""A database server as the inventory names it, whatever its engine: where it is, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

CONNECT_TIMEOUT_S = 10
#: Variables of a host of the group `shared_services`, or of a server of a department's own once it is reached.
SERVER_VARIABLES = (
    "service_address",
    "service_port",
    "service_ca_file",
    "service_tools",
    "service_admin_user",
)
#: Either of them has the administrator's password.
PASSWORD_VARIABLES = ("service_admin_password", "service_admin_password_file")
#: Of a server whose disk is its department's own.
DISK_VARIABLE = "service_disk_gib"
#: Of one whose archived log is replayed by other programs than `service_tools` has: those of its own version.
LOG_TOOLS_VARIABLE = "service_log_tools"
OPTIONAL_VARIABLES = (*PASSWORD_VARIABLES, DISK_VARIABLE, LOG_TOOLS_VARIABLE)


@dataclass(frozen=True)
class Endpoint:
    """Every connection is by TLS, its certificate verified. `disk_gib` is 0 where the disk is shared and others watch it."""

    address: str
    port: int
    ca_file: str
    tools: Path
    user: str
    password: str
    disk_gib: int = 0
    log_tools: Path | None = None

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Self:
        """The administrator's way in, from the host's variables."""
        return cls(
            address=variables["service_address"],
            port=int(variables["service_port"]),
            ca_file=variables["service_ca_file"],
            tools=Path(variables["service_tools"]),
            user=variables["service_admin_user"],
            password=_password(variables),
            disk_gib=int(variables.get(DISK_VARIABLE, 0)),
            log_tools=Path(variables.get(LOG_TOOLS_VARIABLE) or variables["service_tools"]),
        )

    def as_account(self, user: str, password: str) -> Self:
        """The same server for somebody who is not its administrator."""
        return replace(self, user=user, password=password)


def _password(variables: Mapping[str, Any]) -> str:
    if "service_admin_password" in variables:
        return str(variables["service_admin_password"])
    return Path(variables["service_admin_password_file"]).read_text(encoding="utf-8").strip()
