"""What the end of a lease brings, and when: tolerance, suspension, retirement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controlplane.provisioning.rules import RENEWABLE, ResourceState


class LeaseStep(StrEnum):
    SUSPEND = "suspend"
    RETIRE = "retire"


@dataclass(frozen=True)
class LeaseEnd:
    """`suspends_at`: the tolerance after the lease's end is over. `retires_at`: it has then been
    suspended long enough, and its grace period before destruction begins."""

    expires_at: datetime
    suspends_at: datetime
    retires_at: datetime


def lease_end(
    expires_at: datetime,
    suspended_at: datetime | None,
    *,
    grace_days: int,
    suspended_days: int,
) -> LeaseEnd:
    """However late the suspension came (nothing ran meanwhile), the days after it are given in
    full."""
    suspends_at = expires_at + timedelta(days=grace_days)
    since = max(suspends_at, suspended_at) if suspended_at else suspends_at
    return LeaseEnd(expires_at, suspends_at, since + timedelta(days=suspended_days))


def due_step(
    end: LeaseEnd,
    state: str,
    now: datetime,
    *,
    is_suspended: bool,
    is_kept: bool,
) -> LeaseStep | None:
    """What is to be done now. `is_kept`: it is protected, or another resource stands on it, so that
    time alone never destroys it."""
    if state not in (ResourceState.ACTIVE, ResourceState.STOPPED):
        return None
    if not is_suspended:
        return LeaseStep.SUSPEND if now >= end.suspends_at else None
    return LeaseStep.RETIRE if now >= end.retires_at and not is_kept else None


def is_renewable(state: str, *, is_suspended: bool) -> bool:
    """Until destroying begins; a retirement that a person wanted is cancelled, not renewed."""
    return state in RENEWABLE or (is_suspended and state == ResourceState.RETIRING)
