"""How full the disk of a resource's plan is, and what follows."""

from __future__ import annotations

from enum import StrEnum

GIB = 1 << 30


class DiskLevel(StrEnum):
    FINE = "fine"
    NEAR = "near"
    CRITICAL = "critical"
    FULL = "full"  # nothing more is written: by the plan's rule, or because a disk has no room


#: Levels that somebody is told of.
TOLD = (DiskLevel.NEAR, DiskLevel.CRITICAL, DiskLevel.FULL)
_ORDER = tuple(DiskLevel)
#: Of a disk of its own: servers make their files longer by megabytes at a time, and what is left
#: beyond this is of no use to them.
USED_UP_PERCENT = 99


def of_plan(used_bytes: int, size_bytes: int, limit_gib: int) -> int:
    """What is used of a file system, as the same share of the plan that it was made for."""
    return limit_gib * GIB * used_bytes // size_bytes


def level_of(
    used_bytes: int,
    limit_gib: int,
    near_percent: int,
    critical_percent: int,
    *,
    has_own_disk: bool = False,
) -> DiskLevel:
    """A disk is full when more is used than the plan has, or all there is of a disk of its own; and
    near full from a share of it on."""
    limit_bytes = limit_gib * GIB
    if used_bytes > limit_bytes:
        return DiskLevel.FULL
    if has_own_disk and used_bytes * 100 >= limit_bytes * USED_UP_PERCENT:
        return DiskLevel.FULL
    if used_bytes * 100 >= limit_bytes * critical_percent:
        return DiskLevel.CRITICAL
    if used_bytes * 100 >= limit_bytes * near_percent:
        return DiskLevel.NEAR
    return DiskLevel.FINE


def event_of(before: DiskLevel, after: DiskLevel, *, has_own_disk: bool = False) -> str | None:
    """What the history says of a change of level: each worse one, and the end of it."""
    if after is before:
        return None
    if _ORDER.index(after) > _ORDER.index(before):
        return "disk_used_up" if has_own_disk and after is DiskLevel.FULL else f"disk_{after}"
    if before is DiskLevel.FULL or (after is DiskLevel.FINE and before is not DiskLevel.FINE):
        return "disk_freed"
    return None
