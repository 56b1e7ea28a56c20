"""A file of a MariaDB's binary log, passed on up to a moment."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import pytest

from controlplane.config import CHECKOUT
from controlplane.drivers.mariadb_log import number_of, segment_of
from controlplane.errors import CloudRefused

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.binary_logs import (
    GTID,
    HEADER,
    MAGIC,
    UntilMoment,
)

ROWS = 30


def event(when: int, kind: int, more: int = 8) -> bytes:
    return HEADER.pack(when, kind, 1, HEADER.size + more, 0, 0) + b"x" * more


#: The first describes the file and is as old as the server.
EVENTS = (
    *(event(100, 15), event(50, GTID), event(50, ROWS, 5000), event(60, GTID)),
    *(event(90, ROWS), event(70, GTID), event(70, ROWS)),
)


def passed_on(content: bytes, until: float, blocks: Sequence[int] = (1 << 20,)) -> tuple[int, bool]:
    """How many events are there, and whether the moment was reached."""
    out = io.BytesIO()
    log, at = UntilMoment(out, until), 0
    while at < len(content):
        size = blocks[at % len(blocks)]
        assert log.write(content[at : at + size]) == len(content[at : at + size])
        at += size
    log.close()
    lengths = {len(MAGIC) + sum(len(e) for e in EVENTS[:n]): n for n in range(len(EVENTS) + 1)}
    return lengths[len(out.getvalue())], log.is_reached


@pytest.mark.parametrize(
    ("until", "events", "is_reached"),
    [(71, 7, False), (70, 5, True), (60.0, 3, True), (50, 1, True)],
)
@pytest.mark.parametrize("blocks", [(1 << 20,), (1,), (3, 4000, 17)])
def test_whole_transactions_before_the_moment_are_passed_on(
    until: float, events: int, is_reached: bool, blocks: tuple[int, ...]
) -> None:
    assert passed_on(MAGIC + b"".join(EVENTS), until, blocks) == (events, is_reached)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "amid an event"),
        (b"SQLite format 3", "no binary log"),
        (MAGIC + EVENTS[0][:-1], "amid an event"),
        (MAGIC + EVENTS[0] + b"\0\0\0", "amid an event"),
        (MAGIC + bytes(19), "shorter than its header"),
    ],
)
def test_what_is_no_log_or_was_cut_is_an_error(content: bytes, said: str) -> None:
    with pytest.raises(ArchiveError, match=said):
        passed_on(content, 1000)


def test_files_are_kept_in_the_order_of_their_numbers() -> None:
    names = ["binlog.000009", "binlog.000010", "binlog.999999", "binlog.1000000"]
    segments = [segment_of(number_of(name)) for name in names]
    assert segments == sorted(segments)
    assert {len(segment) for segment in segments} == {24}
    with pytest.raises(CloudRefused):
        number_of("binlog.index")
