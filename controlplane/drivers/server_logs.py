"""Whose log can be archived, by its service, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controlplane.drivers.mariadb_log import MariaDBLog
from controlplane.drivers.postgresql_log import PostgreSQLLog

#: A server's log, of the variables of its host, its slot's name and the key to encrypt to.
LOGS: Mapping[str, Callable[[Mapping[str, Any], str, str], Any]] = {
    "postgresql": PostgreSQLLog,
    "mariadb": MariaDBLog,
}
#: Who administers a server of a department's own; the roles of `playbooks/` make it so.
ADMINISTRATORS: Mapping[str, str] = {"postgresql": "postgres", "mariadb": "egov_admin"}
