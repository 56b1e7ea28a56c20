"""到期提醒: when somebody is told that a lease or a certificate ends. Pure.

Thirty days before, it stands on the workbench of those who can renew it; from the seventh day on
the bell counts it too; on the last day it is marked as urgent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

#: Days before the end, the first reminder first.
REMINDED_DAYS = (30, 7, 1)
FIRST, BELL = (timedelta(days=days) for days in REMINDED_DAYS[:2])


def reminder(ends_at: datetime, now: datetime) -> int | None:
    """The days of the newest reminder that is due: 30, 7 or 1; 0 once it is over; None before."""
    if ends_at <= now:
        return 0
    due = [days for days in REMINDED_DAYS if ends_at - now <= timedelta(days=days)]
    return due[-1] if due else None
