"""Accounts beside an instance's main one, used by real clients as those who hold them would, and
settings for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live_city import LiveCity
from tests.lab.engine_clients import Access, Engine, ask, query


@dataclass(frozen=True)
class Settings:
    """What a department sets on a server of its own, and how any new session sees it."""

    form: dict[str, Any]
    ask: Callable[[Access, str], list[Any]]
    shown: str
    seen: tuple[Any, ...]


SETTINGS = {
    "postgresql": Settings(
        {
            "statement_timeout_s": 90,
            "lock_timeout_s": 0,
            "idle_in_transaction_timeout_s": 0,
            "work_mem_mib": 8,
            "isolation": "repeatable read",
            "time_zone": "Asia/Shanghai",
        },
        query,
        "SELECT current_setting('statement_timeout'), current_setting('work_mem'), "
        "current_setting('default_transaction_isolation'), current_setting('TimeZone')",
        ("90s", "8MB", "repeatable read", "Asia/Shanghai"),
    ),
    "mariadb": Settings(
        {
            "statement_timeout_s": 90,
            "lock_timeout_s": 7,
            "idle_transaction_timeout_s": 300,
            "sort_memory_mib": 8,
            "isolation": "read committed",
            "time_zone": "Asia/Shanghai",
        },
        ask,
        "SELECT @@max_statement_time, @@innodb_lock_wait_timeout, @@idle_transaction_timeout, "
        "@@sort_buffer_size DIV 1048576, @@tx_isolation, @@time_zone",
        (90, 7, 300, 8, "READ-COMMITTED", "+08:00"),
    ),
}
INDEX_BY_EXTENSION = (
    "CREATE TABLE names (name text); CREATE INDEX ON names USING gin (name gin_trgm_ops)"
)


@dataclass(frozen=True)
class Holders:
    """Of one instance: `report` may only read, `intake` may write too."""

    city: LiveCity
    resource_id: str
    engine: Engine
    folder: Path

    def access(self, account: str) -> Access:
        """As the department is shown it; the main one's for no name."""
        connections, limin = self.city.control_plane.connections, self.city.person("limin")
        told = connections.show(limin, self.resource_id, "核对", account)
        return Access.shown({snippet.code: text for snippet, text in told.snippets}, self.folder)

    def come(self) -> None:
        self.city.operate(self.resource_id, "add_account", account="report", rights="read")
        self.city.operate(self.resource_id, "add_account", account="intake", rights="write")
        self.work()

    def work(self) -> None:
        """Each does what it may and no more; there is one thing more afterwards."""
        assert self.engine.add_one is not None
        before = self.engine.count(self.access("report"))
        with pytest.raises(self.engine.refused):
            self.engine.add_one(self.access("report"))
        self.engine.add_one(self.access("intake"))
        assert self.engine.count(self.access("report")) == before + 1
        assert self.engine.count(self.access("")) == before + 1

    def leave(self) -> None:
        """A new password ends the old one, and who is removed gets in no more; the others do."""
        old = self.access("report")
        self.city.operate(self.resource_id, "account_password", account_there="report")
        self.work()
        gone = self.access("report")
        self.city.operate(self.resource_id, "remove_account", account_there="report")
        for access in (old, gone):
            with pytest.raises(self.engine.refused):
                self.engine.count(access)
        left = self.city.resource(self.resource_id).outputs["accounts"]
        assert [account["name"] for account in left] == ["intake"]
        self.engine.count(self.access("intake"))


def equip(holders: Holders) -> None:
    """A database has accounts and settings, a PostgreSQL an extension that an index needs too."""
    holders.engine.write(holders.access(""))
    holders.come()
    service = holders.engine.service
    holders.city.operate(holders.resource_id, "set_parameters", **SETTINGS[service].form)
    if service == "postgresql":
        holders.city.operate(holders.resource_id, "add_extension", extension="pg_trgm")
        query(holders.access(""), INDEX_BY_EXTENSION)
    assert_equipped(holders)


def assert_equipped(holders: Holders) -> None:
    holders.work()
    settings = SETTINGS[holders.engine.service]
    for account in ("", "report", "intake"):
        assert settings.ask(holders.access(account), settings.shown) == [settings.seen]
    if holders.engine.service == "postgresql":
        used = query(holders.access(""), "SELECT similarity('低保核对', '低保核查') > 0")
        assert used == [(True,)]
