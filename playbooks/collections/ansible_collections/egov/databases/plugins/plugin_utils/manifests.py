"""What a backup's manifest says is in a database, compared with what was found after a restore; of any engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError

SHOWN = 5
MIB, GIB = 1 << 20, 1 << 30
#: What a load takes beside the data: logs, sorting, and that no disk is ever quite full.
ROOM_BYTES = 256 * MIB


@dataclass(frozen=True)
class Restored:
    """How a restore went: `different` says, a sentence each, where it is not what the manifest says."""

    rows: int
    seconds: float
    different: Sequence[str]


def accept(restored: Restored, throw_away: Callable[[], object], what: str) -> None:
    """Throws away what is not the same. Errors: ArchiveError with the first differences."""
    if restored.different:
        throw_away()
        told = "; ".join(restored.different[:SHOWN])
        raise ArchiveError(f"{what}, and is thrown away: {told}")


def check_room(disk_gib: int, used_bytes: int, needed_bytes: int) -> None:
    """What is restored lies beside what is there until both have been compared: on a disk of a department's own, which must
    not fill up under its server. Errors: ArchiveError."""
    left = disk_gib * GIB - used_bytes
    needed = needed_bytes * 5 // 4 + ROOM_BYTES
    if disk_gib and left < needed:
        raise ArchiveError(
            f"the server's disk of {disk_gib} GiB has {max(0, left) // MIB} MiB left, and {needed // MIB} MiB are needed "
            "beside what is there: change to a larger plan first; nothing was touched"
        )


def rows_of(measured: Mapping[str, Any]) -> int:
    return sum(table["rows"] for table in measured["tables"].values())


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """How `found` differs from the manifest, a sentence each; empty when every row is there and the same."""
    told = []
    for name in sorted({*expected["tables"], *found["tables"]}):
        was, now = expected["tables"].get(name), found["tables"].get(name)
        if was is None or now is None:
            told.append(f"table {name} is {'missing' if now is None else 'new'}")
        elif was["rows"] != now["rows"]:
            told.append(f"table {name} has {now['rows']} rows, not {was['rows']}")
        elif was["checksum"] != now["checksum"]:
            told.append(
                f"table {name} has other rows (checksum {now['checksum']}, not {was['checksum']})"
            )
    for kind in sorted({*expected["objects"], *found["objects"]}):
        before, after = expected["objects"].get(kind, 0), found["objects"].get(kind, 0)
        if before != after:
            told.append(f"{after} {kind.replace('_', ' ')}, not {before}")
    return told
