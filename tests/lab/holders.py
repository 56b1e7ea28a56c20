"""Accounts beside an instance's main one, used by real clients as those who hold them would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.live_city import LiveCity
from tests.lab.engine_clients import Access, Engine, query

#: Of a PostgreSQL, and how a new session sees them.
SETTINGS = {
    "statement_timeout_s": 90,
    "lock_timeout_s": 0,
    "idle_in_transaction_timeout_s": 0,
    "work_mem_mib": 8,
    "isolation": "repeatable read",
    "time_zone": "Asia/Shanghai",
}
AS_SEEN = [("90s", "8MB", "repeatable read", "Asia/Shanghai")]
ASK_SETTINGS = (
    "SELECT current_setting('statement_timeout'), current_setting('work_mem'), "
    "current_setting('default_transaction_isolation'), current_setting('TimeZone')"
)
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
    """A PostgreSQL has accounts, settings and an extension that an index needs."""
    holders.engine.write(holders.access(""))
    holders.come()
    holders.city.operate(holders.resource_id, "set_parameters", **SETTINGS)
    holders.city.operate(holders.resource_id, "add_extension", extension="pg_trgm")
    query(holders.access(""), INDEX_BY_EXTENSION)
    assert_equipped(holders)


def assert_equipped(holders: Holders) -> None:
    holders.work()
    for account in ("", "report", "intake"):
        assert query(holders.access(account), ASK_SETTINGS) == AS_SEEN
    used = query(holders.access(""), "SELECT similarity('低保核对', '低保核查') > 0")
    assert used == [(True,)]
