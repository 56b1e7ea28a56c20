"""What a restore looks at before it begins: room on the disk, a server older than our programs."""

from __future__ import annotations

import io
import sys

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils import load_into_older
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import GIB, MIB, check_room


@pytest.mark.parametrize(
    ("disk_gib", "used", "needed"),
    [(0, 100 * GIB, 100 * GIB), (10, 2 * GIB, 6 * GIB), (1, 700 * MIB, 0)],
    ids=["a shared disk is watched by others", "a quarter more than the data", "the reserve"],
)
def test_data_that_fit_beside_those_there_are_restored(
    disk_gib: int, used: int, needed: int
) -> None:
    check_room(disk_gib, used, needed)


@pytest.mark.parametrize(
    ("disk_gib", "used", "needed"),
    [(10, 2 * GIB, 7 * GIB), (10, 11 * GIB, 0), (1, 800 * MIB, 0)],
    ids=["not a quarter more", "fuller than full", "not the reserve"],
)
def test_data_that_do_not_fit_are_refused_with_the_figures(
    disk_gib: int, used: int, needed: int
) -> None:
    with pytest.raises(ArchiveError, match=f"disk of {disk_gib} GiB has .* larger plan first"):
        check_room(disk_gib, used, needed)


UNKNOWN = load_into_older.UNKNOWN


@pytest.mark.parametrize(
    ("script", "passed_on"),
    [
        (b"SET lock_timeout = 0;\n" + UNKNOWN + b"COPY t\n", b"SET lock_timeout = 0;\nCOPY t\n"),
        (UNKNOWN + b"COPY t\n" + UNKNOWN, b"COPY t\n" + UNKNOWN),
        (b"-- x\n" * 100 + UNKNOWN, b"-- x\n" * 100 + UNKNOWN),
        (b"", b""),
    ],
    ids=["left out", "a row of the same text stays", "behind the header it is a row", "nothing"],
)
def test_the_one_setting_that_an_older_server_does_not_know_is_left_out(
    script: bytes, passed_on: bytes
) -> None:
    into = io.BytesIO()
    load_into_older.pass_on(io.BytesIO(script), into)
    assert into.getvalue() == passed_on
