"""What the end of a lease brings, day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.provisioning.leases import due_step, is_renewable, lease_end

END = datetime(2027, 11, 24, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "state", "suspended_day", "is_kept", "step"),
    [
        (0, "active", None, False, None),
        (6, "active", None, False, None),
        (7, "active", None, False, "suspend"),
        (7, "stopped", None, False, "suspend"),
        (7, "active", None, True, "suspend"),
        (7, "building", None, False, None),
        (7, "changing", None, False, None),
        (29, "stopped", 7, False, None),
        (30, "stopped", 7, False, "retire"),
        (30, "active", 7, False, "retire"),
        (30, "stopped", 7, True, None),
        (40, "retiring", 7, False, None),
        (40, "destroying", 7, False, None),
        # Nothing ran for 100 days: suspended first, then its 23 days in full.
        (100, "active", None, False, "suspend"),
        (122, "stopped", 100, False, None),
        (123, "stopped", 100, False, "retire"),
    ],
)
def test_what_is_due(
    day: int, state: str, suspended_day: int | None, is_kept: bool, step: str | None
) -> None:
    suspended_at = None if suspended_day is None else END + timedelta(days=suspended_day)
    end = lease_end(END, suspended_at, grace_days=7, suspended_days=23)
    now = END + timedelta(days=day)
    is_suspended = suspended_at is not None
    assert due_step(end, state, now, is_suspended=is_suspended, is_kept=is_kept) == step


@pytest.mark.parametrize(
    ("state", "is_suspended", "renewable"),
    [
        ("active", False, True),
        ("stopped", True, True),
        ("retiring", True, True),
        ("retiring", False, False),
        ("destroying", True, False),
        ("retired", True, False),
    ],
)
def test_renewable_until_destroying_begins(state: str, is_suspended: bool, renewable: bool) -> None:
    assert is_renewable(state, is_suspended=is_suspended) is renewable
