"""States of resources and jobs, retries, and dates that follow from a lease."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from enum import StrEnum

from controlplane.clock import LOCAL_ZONE


class ResourceState(StrEnum):
    BUILDING = "building"  # 交付中
    ACTIVE = "active"  # 运行中
    STOPPED = "stopped"  # 已停止
    CHANGING = "changing"  # 变更中
    RETIRING = "retiring"  # 待销毁: stopped, destroyed after its grace period
    DESTROYING = "destroying"  # 销毁中
    RETIRED = "retired"  # 已销毁
    FAILED = "failed"  # 交付失败


#: States in which a resource holds something on the cloud and is metered.
LIVE_STATES = (
    ResourceState.ACTIVE,
    ResourceState.STOPPED,
    ResourceState.CHANGING,
    ResourceState.RETIRING,
    ResourceState.DESTROYING,
)


#: States in which another resource may begin to stand on this one.
STANDABLE = (ResourceState.ACTIVE, ResourceState.STOPPED, ResourceState.CHANGING)

#: States in which protecting a resource still means something.
PROTECTABLE = (
    ResourceState.BUILDING,
    ResourceState.ACTIVE,
    ResourceState.STOPPED,
    ResourceState.CHANGING,
)


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class SiteState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


def retry_delay(attempt: int, base_seconds: int) -> timedelta:
    """How long to wait after the `attempt`-th failed try: the base, doubled each time, at most
    10 minutes."""
    return timedelta(seconds=min(base_seconds * 2 ** (attempt - 1), 600))


def add_months(start: datetime, months: int) -> datetime:
    """The same day and time in Asia/Shanghai `months` later, or the month's last day."""
    local = start.astimezone(LOCAL_ZONE)
    years, month0 = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month0 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(start.tzinfo)


#: States in which a lease may be prolonged; in a grace period the way back is to cancel it.
RENEWABLE = (ResourceState.ACTIVE, ResourceState.STOPPED, ResourceState.CHANGING)


def renewed_until(expires_at: datetime, months: int, now: datetime) -> datetime:
    """The end of a lease prolonged by `months`: they follow its end or, where that has passed, the
    beginning of today."""
    local = now.astimezone(LOCAL_ZONE)
    today = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(now.tzinfo)
    return add_months(expires_at if expires_at > now else today, months)


def months_renewable(expires_at: datetime, now: datetime, max_months: int) -> int:
    """By how many months a lease may be prolonged, for it never ends more than `max_months` from
    now; 0: not at all yet."""
    latest = add_months(now, max_months)
    return next(
        (n for n in range(max_months, 0, -1) if renewed_until(expires_at, n, now) <= latest), 0
    )
