"""How full the disk of a resource's plan is, and what follows."""

from __future__ import annotations

from enum import StrEnum

GIB = 1 << 30


class DiskLevel(StrEnum):
    FINE = "fine"
    NEAR = "near"
    CRITICAL = "critical"
    FULL = "full"  # the plan's rule holds: nothing more is written


#: Levels that somebody is told of.
TOLD = (DiskLevel.NEAR, DiskLevel.CRITICAL, DiskLevel.FULL)
_ORDER = tuple(DiskLevel)


def level_of(
    used_bytes: int, limit_gib: int, near_percent: int, critical_percent: int
) -> DiskLevel:
    """A disk is full when more is used than the plan has, and near full from a share of it on."""
    limit_bytes = limit_gib * GIB
    if used_bytes > limit_bytes:
        return DiskLevel.FULL
    if used_bytes * 100 >= limit_bytes * critical_percent:
        return DiskLevel.CRITICAL
    if used_bytes * 100 >= limit_bytes * near_percent:
        return DiskLevel.NEAR
    return DiskLevel.FINE


def event_of(before: DiskLevel, after: DiskLevel) -> str | None:
    """What the history says of a change of level: each worse one, and the end of it."""
    if after is before:
        return None
    if _ORDER.index(after) > _ORDER.index(before):
        return f"disk_{after}"
    if before is DiskLevel.FULL or (after is DiskLevel.FINE and before is not DiskLevel.FINE):
        return "disk_freed"
    return None
