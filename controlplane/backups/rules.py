"""When a backup is due, how long it is kept, when a drill is due, what counts as proven."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from controlplane.clock import LOCAL_ZONE
from controlplane.engines import KUBERNETES
from controlplane.provisioning.rules import ResourceState

#: The field of a form that names a backup to restore, where a service's form has one.
RESTORE_FROM = "restore_from"
#: The field that names a running resource of the same service to begin as a copy of.
CLONE_OF = "clone_of"
#: How long after the daily backup the night's drills begin.
DRILL_AFTER = timedelta(hours=2)
#: How long a drill may be due before it counts as overdue.
DRILL_PATIENCE = timedelta(days=7)


class BackupKind(StrEnum):
    SCHEDULE = "schedule"
    MANUAL = "manual"
    LAST = "last"  # taken before its resource was destroyed
    MOMENT = "moment"  # what was there at a moment before, from the archived log


class BackupState(StrEnum):
    PENDING = "pending"  # its job is to run, or runs
    KEPT = "kept"
    FAILED = "failed"
    DELETING = "deleting"  # may not be restored any more; its archive is being removed
    DELETED = "deleted"


class DrillResult(StrEnum):
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


def time_of_day(text: str) -> time:
    """`HH:MM` of Asia/Shanghai. Errors: ValueError."""
    hours, _, minutes = text.partition(":")
    if len(hours) != 2 or len(minutes) != 2:
        raise ValueError(f"{text!r} is no time of day")
    return time(int(hours), int(minutes))


def latest_moment(now: datetime, daily_at: str, after: timedelta = timedelta(0)) -> datetime:
    """The newest daily moment that has come: `daily_at` of Asia/Shanghai, and `after` later."""
    at = time_of_day(daily_at)
    local = (now - after).astimezone(LOCAL_ZONE)
    moment = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    if moment > local:
        moment -= timedelta(days=1)
    return moment.astimezone(UTC) + after


def backup_due(now: datetime, daily_at: str, delivered_at: datetime) -> datetime | None:
    """The moment for which a backup is wanted: the newest one, however many were missed while
    nothing ran; None before the resource's first."""
    moment = latest_moment(now, daily_at)
    return moment if moment > delivered_at else None


def next_moment(now: datetime, daily_at: str) -> datetime:
    """The daily moment that comes next."""
    return latest_moment(now, daily_at) + timedelta(days=1)


def retained_until(finished_at: datetime, keep_days: int) -> datetime:
    return finished_at + timedelta(days=keep_days)


def cloned_states(engine: str) -> tuple[ResourceState, ...]:
    """Those in which data are copied: in the cluster a suspended server does not run."""
    if engine == KUBERNETES:
        return (ResourceState.ACTIVE,)
    return ResourceState.ACTIVE, ResourceState.STOPPED


def quarter_of(at: datetime) -> tuple[int, int]:
    """(year, 1 to 4) in Asia/Shanghai."""
    local = at.astimezone(LOCAL_ZONE)
    return local.year, (local.month - 1) // 3 + 1


def quarter_start(at: datetime) -> datetime:
    """The first moment of the quarter in Asia/Shanghai."""
    year, quarter = quarter_of(at)
    return datetime(year, 3 * quarter - 2, 1, tzinfo=LOCAL_ZONE).astimezone(UTC)


def drill_wanted_since(
    now: datetime, first_kept_at: datetime | None, proven_at: datetime | None
) -> datetime | None:
    """Since when a drill is wanted: from the first backup on until one has passed, then from the
    beginning of each quarter in which none has; None while none is."""
    if first_kept_at is None:
        return None
    if proven_at is None:
        return first_kept_at
    if quarter_of(proven_at) == quarter_of(now):
        return None
    return quarter_start(now)


def drill_due(
    now: datetime, daily_at: str, first_kept_at: datetime | None, proven_at: datetime | None
) -> datetime | None:
    """The night's moment for which a drill is wanted; a failed one is wanted again the next night.
    None where none is."""
    since = drill_wanted_since(now, first_kept_at, proven_at)
    moment = latest_moment(now, daily_at, DRILL_AFTER)
    return moment if since is not None and moment > since else None


def is_drill_overdue(
    now: datetime, first_kept_at: datetime | None, proven_at: datetime | None
) -> bool:
    since = drill_wanted_since(now, first_kept_at, proven_at)
    return since is not None and now - since > DRILL_PATIENCE
