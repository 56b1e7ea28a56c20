"""How full a plan's disk is, and what somebody is told."""

from __future__ import annotations

import pytest

from controlplane.provisioning.filling import GIB, DiskLevel, event_of, level_of, of_plan

FINE, NEAR, CRITICAL, FULL = DiskLevel


@pytest.mark.parametrize(
    ("used_bytes", "level"),
    [
        (0, FINE),
        (4 * GIB - 1, FINE),
        (4 * GIB, NEAR),
        (5 * GIB * 95 // 100 - 1, NEAR),
        (5 * GIB * 95 // 100, CRITICAL),
        (5 * GIB, CRITICAL),
        (5 * GIB + 1, FULL),
        (500 * GIB, FULL),
    ],
)
def test_levels_begin_at_their_share_and_full_beyond_the_plan(
    used_bytes: int, level: DiskLevel
) -> None:
    assert level_of(used_bytes, 5, 80, 95) is level


@pytest.mark.parametrize(
    ("free_mib", "level"),
    [(2000, FINE), (1900, NEAR), (480, CRITICAL), (99, CRITICAL), (97, FULL), (0, FULL)],
)
def test_a_disk_of_its_own_is_full_when_nothing_fits_any_more(
    free_mib: int, level: DiskLevel
) -> None:
    size_mib = 9_760  # what is left of 10 GiB by its own bookkeeping
    used_bytes = of_plan(size_mib - free_mib, size_mib, 10)
    assert used_bytes <= 10 * GIB
    assert level_of(used_bytes, 10, 80, 95, has_own_disk=True) is level


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (FINE, FINE, None),
        (FINE, NEAR, "disk_near"),
        (FINE, FULL, "disk_full"),
        (NEAR, CRITICAL, "disk_critical"),
        (CRITICAL, FULL, "disk_full"),
        (CRITICAL, NEAR, None),
        (NEAR, FINE, "disk_freed"),
        (CRITICAL, FINE, "disk_freed"),
        (FULL, CRITICAL, "disk_freed"),
        (FULL, FINE, "disk_freed"),
        (FULL, FULL, None),
    ],
)
def test_each_worse_level_is_told_once_and_so_is_the_end(
    before: DiskLevel, after: DiskLevel, event: str | None
) -> None:
    assert event_of(before, after) == event


def test_a_disk_of_its_own_that_is_full_is_not_closed_by_anybody() -> None:
    assert event_of(CRITICAL, FULL, has_own_disk=True) == "disk_used_up"
    assert event_of(FINE, NEAR, has_own_disk=True) == "disk_near"
    assert event_of(FULL, FINE, has_own_disk=True) == "disk_freed"
