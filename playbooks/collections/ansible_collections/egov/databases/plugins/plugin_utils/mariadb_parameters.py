"""What a department may set for its MariaDB.

A time limit of statements belongs to each of its accounts, wherever they are, so that none of the platform's own work is cut
short by it. Everything else MariaDB has for a whole server only: on one of the department's own it is set while that runs, and
stands in a file for the next start. Both hold for sessions made from then on, and each session may choose others for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    account,
)

STATEMENT_S = "statement_timeout_s"
MIB = 1 << 20
#: The tables of time zones are not loaded: a zone is told by its hours, which in these two never change.
HOURS = {"UTC": "+00:00", "Asia/Shanghai": "+08:00"}


@dataclass(frozen=True)
class Setting:
    """Of a whole server: its name while it runs and in its file, how a value is written, what holds where none is set."""

    variable: str
    option: str
    write: Callable[[Any], int | str]
    otherwise: int | str


SETTINGS = {
    "lock_timeout_s": Setting("innodb_lock_wait_timeout", "innodb-lock-wait-timeout", int, 50),
    "idle_transaction_timeout_s": Setting(
        "idle_transaction_timeout", "idle-transaction-timeout", int, 0
    ),
    "sort_memory_mib": Setting(
        "sort_buffer_size", "sort-buffer-size", lambda mib: int(mib) * MIB, 2
    ),
    "isolation": Setting(
        "tx_isolation",
        "transaction-isolation",
        lambda words: str(words).upper().replace(" ", "-"),
        "repeatable read",
    ),
    "time_zone": Setting("time_zone", "default-time-zone", lambda name: HOURS[name], "UTC"),
}
#: Every setting, and what its values are.
PARAMETERS: dict[str, type] = {
    STATEMENT_S: int,
    **{name: type(setting.otherwise) for name, setting in SETTINGS.items()},
}


def options_file(wanted: Mapping[str, Any]) -> str:
    """What the server's configuration includes, so that it starts with what is set."""
    lines = [
        f"{setting.option} = {setting.write(wanted[name])}"
        for name, setting in SETTINGS.items()
        if name in wanted
    ]
    return "\n".join(["[mariadbd]", *lines, ""])


def set_parameters(
    server: MariaServer, accounts: Sequence[str], wanted: Mapping[str, Any], *, is_own: bool
) -> None:
    """They are those wanted, and the server's own where none is. An account that is not there stays away."""
    seconds = int(wanted.get(STATEMENT_S, 0))
    with server.connect() as session:
        for name in accounts:
            session.run(f"ALTER USER IF EXISTS {account(name)} WITH MAX_STATEMENT_TIME {seconds}")
        for name, setting in SETTINGS.items() if is_own else ():
            value = setting.write(wanted.get(name, setting.otherwise))
            session.run(f"SET GLOBAL {setting.variable} = %s", value)
