"""The binary log of a MariaDB of a department's own: it never fills the disk that it has."""

from __future__ import annotations

import sys

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.module_utils import binary_log


def set_to(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in (line.split("=") for line in lines)}


@pytest.mark.parametrize("disk_gib", [1, 4, 8, 16, 64])
def test_files_kept_have_less_than_half_of_the_disk_however_long_their_transactions(
    disk_gib: int,
) -> None:
    told = set_to(binary_log.options("/log", disk_gib, "/bound.sql"))
    file_mib, transaction_mib, statement_mib = (
        int(told[name].removesuffix("M"))
        for name in ("max-binlog-size", "max-binlog-cache-size", "max-binlog-stmt-cache-size")
    )
    assert transaction_mib == statement_mib
    longest_mib = file_mib + transaction_mib
    assert binary_log.FILES_KEPT * longest_mib << 20 < binary_log.longest_bytes(disk_gib)
    assert binary_log.longest_bytes(disk_gib) == disk_gib * 2**30 / 2
    assert told["log-bin"] == "/log/binlog"
    assert told["init-file"] == "/bound.sql"


def test_each_statement_that_a_server_begins_with_has_a_line_of_its_own() -> None:
    lines = binary_log.bound_of("egov_admin").splitlines()
    assert [line.split()[0] for line in lines] == ["SET", "CREATE", "CREATE"]
    assert all(line.endswith(";") for line in lines)
    assert "{" not in "".join(lines)
    assert "DEFINER = 'egov_admin'@'%'" in lines[2]
