"""Use cases of backups: ordered, kept or failed, opened for a restore, deleted for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyrage
import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.backups.logs import LOG_KEY
from controlplane.backups.models import Backup, BackupSchedule, LogArchive, RestoreDrill
from controlplane.backups.rules import (
    BackupKind,
    BackupState,
    DrillResult,
    retained_until,
)
from controlplane.backups.store import BackupStore
from controlplane.catalogue.services import BackupPlan
from controlplane.credentials.keyring import Keyring
from controlplane.errors import NotFound
from controlplane.provisioning.models import Resource
from controlplane.provisioning.service import dated_number

SUFFIX = ".age"
GIB = 1 << 30


def order_backup(
    session: Session,
    keyring: Keyring,
    resource: Resource,
    kind: BackupKind,
    keep_days: int,
    now: datetime,
    due_at: datetime | None = None,
) -> Backup:
    """The row of a backup whose job is about to be made, with a key of its own."""
    identity = pyrage.x25519.Identity.generate()
    number = dated_number(session, "B", now)
    backup = Backup(
        number=number,
        resource_id=resource.id,
        kind=kind,
        state=BackupState.PENDING,
        due_at=due_at,
        keep_days=keep_days,
        location=f"{resource.department.code}/{resource.number}/{number}{SUFFIX}",
        recipient=str(identity.to_public()),
        sealed_key=keyring.seal(resource.id, number, str(identity)),
        manifest={},
        created_at=now,
    )
    session.add(backup)
    session.flush()
    return backup


def lock_backup(session: Session, backup_id: int) -> Backup:
    """Errors: NotFound."""
    backup = session.scalars(
        sa.select(Backup)
        .where(Backup.id == backup_id)
        .with_for_update(of=Backup)
        .execution_options(populate_existing=True)
    ).first()
    if backup is None:
        raise NotFound
    return backup


def find_backup(session: Session, number: str) -> Backup | None:
    return session.scalars(sa.select(Backup).where(Backup.number == number)).first()


def keep_backup(backup: Backup, told: Mapping[str, Any], now: datetime) -> None:
    """The archive is in the store; `told` is what the playbook reported of it."""
    backup.state = BackupState.KEPT
    backup.manifest, backup.size_bytes = dict(told["manifest"]), int(told["size_bytes"])
    backup.taken_at = datetime.fromisoformat(told["taken_at"])
    backup.finished_at, backup.error = now, ""
    backup.retained_until = retained_until(now, backup.keep_days)


def fail_backup(backup: Backup, error: str, now: datetime) -> None:
    backup.state, backup.finished_at, backup.error = BackupState.FAILED, now, error[:2000]


def to_take(backup: Backup, store: BackupStore, reserve_mib: int) -> dict[str, Any]:
    """What the play needs that takes the backup; the secret half of the key is not in it."""
    return {
        "number": backup.number,
        "path": str(store.path(backup.location)),
        "recipient": backup.recipient,
        "reserve_mib": reserve_mib,
    }


def to_restore(backup: Backup, keyring: Keyring, store: BackupStore) -> dict[str, Any]:
    """What the play needs that restores it. Errors: ConfigurationMissing (the key that sealed)."""
    return {
        "number": backup.number,
        "path": str(store.path(backup.location)),
        "identity": keyring.open(backup.resource_id, backup.number, backup.sealed_key),
        "size_bytes": backup.size_bytes,
        "sha256": backup.manifest["sha256"],
        "manifest": backup.manifest,
    }


def stored_gib(session: Session, resource_id: str) -> int:
    """What a resource's kept archives take in the store, in whole GiB, a begun one counted."""
    stored_bytes = session.scalar(
        sa.select(sa.func.sum(Backup.size_bytes)).where(
            Backup.resource_id == resource_id, Backup.state == BackupState.KEPT
        )
    )
    return -(-int(stored_bytes or 0) // GIB)


def look_at_store(session: Session, store: BackupStore) -> tuple[int, list[str]]:
    """How many backups are kept, and a sentence for each whose archive is not there as it was."""
    kept, faults = 0, []
    rows = sa.select(Backup.number, Backup.location, Backup.size_bytes)
    for number, location, size_bytes in session.execute(
        rows.where(Backup.state == BackupState.KEPT).order_by(Backup.id)
    ):
        kept += 1
        found = store.size(location)
        if found is None:
            faults.append(f"backup {number}: {location} is not in the store")
        elif found != size_bytes:
            faults.append(f"backup {number}: {location} has {found} bytes, not {size_bytes}")
    return kept, faults


def newest_kept(session: Session, resource_id: str) -> Backup | None:
    return session.scalars(
        sa.select(Backup)
        .where(Backup.resource_id == resource_id, Backup.state == BackupState.KEPT)
        .order_by(Backup.taken_at.desc(), Backup.id.desc())
        .limit(1)
    ).first()


def last_backup_that_failed(session: Session, resource_id: str) -> str | None:
    """Number of the backup for which the resource's destruction waits, where it has failed."""
    newest = session.scalars(
        sa.select(Backup)
        .where(Backup.resource_id == resource_id, Backup.kind == BackupKind.LAST)
        .order_by(Backup.id.desc())
        .limit(1)
    ).first()
    return newest.number if newest and newest.state == BackupState.FAILED else None


#: Backups that were taken, also if their time is over.
_TAKEN = (BackupState.KEPT, BackupState.DELETING, BackupState.DELETED)
Times = dict[str, datetime]


def first_kept(session: Session, resource_ids: Iterable[str]) -> Times:
    """When each resource had its first backup."""
    return _by_resource(
        session,
        sa.select(Backup.resource_id, sa.func.min(Backup.finished_at))
        .where(Backup.state.in_(_TAKEN))
        .group_by(Backup.resource_id),
        Backup.resource_id.in_(list(resource_ids)),
    )


def last_proven(session: Session, resource_ids: Iterable[str]) -> Times:
    """When a drill of each resource last passed."""
    return _by_resource(
        session,
        sa.select(RestoreDrill.resource_id, sa.func.max(RestoreDrill.finished_at))
        .where(RestoreDrill.result == DrillResult.PASSED)
        .group_by(RestoreDrill.resource_id),
        RestoreDrill.resource_id.in_(list(resource_ids)),
    )


def last_backup_moments(session: Session, resource_ids: Iterable[str]) -> Times:
    """The newest moment of its schedule for which each resource's backup was ordered."""
    return _by_resource(
        session,
        sa.select(Backup.resource_id, sa.func.max(Backup.due_at)).group_by(Backup.resource_id),
        Backup.resource_id.in_(list(resource_ids)),
    )


def last_drill_moments(session: Session, resource_ids: Iterable[str]) -> Times:
    """The newest night for which each resource's drill was ordered."""
    return _by_resource(
        session,
        sa.select(RestoreDrill.resource_id, sa.func.max(RestoreDrill.due_at)).group_by(
            RestoreDrill.resource_id
        ),
        RestoreDrill.resource_id.in_(list(resource_ids)),
    )


def _by_resource(
    session: Session, query: sa.Select[str, datetime | None], which: sa.ColumnElement[bool]
) -> Times:
    return {resource_id: at for resource_id, at in session.execute(query.where(which)) if at}


def schedules_of(session: Session, resource_ids: Iterable[str]) -> dict[str, BackupSchedule]:
    """Schedules that departments have chosen, by resource."""
    rows = session.scalars(
        sa.select(BackupSchedule).where(BackupSchedule.resource_id.in_(list(resource_ids)))
    )
    return {row.resource_id: row for row in rows}


def plan_of(declared: BackupPlan, chosen: BackupSchedule | None) -> BackupPlan:
    """What the department chose, or else what the service declares."""
    if chosen is None:
        return declared
    return replace(declared, daily_at=chosen.daily_at, keep_days=chosen.keep_days)


def order_drill(
    session: Session, backup: Backup, now: datetime, due_at: datetime | None = None
) -> RestoreDrill:
    drill = RestoreDrill(
        resource_id=backup.resource_id,
        backup_id=backup.id,
        due_at=due_at,
        result=DrillResult.PENDING,
        created_at=now,
    )
    session.add(drill)
    session.flush()
    return drill


def end_drill(
    drill: RestoreDrill, told: Mapping[str, Any], started_at: datetime, now: datetime
) -> None:
    """`told` is what the playbook reported: rows, recovery time, each difference."""
    different = list(told["differences"])
    drill.result = DrillResult.FAILED if different else DrillResult.PASSED
    drill.finished_at = now
    drill.rows_compared = int(told["rows"])
    drill.recovery_time_seconds = float(told["recovery_time_seconds"])
    taken_at = drill.backup.taken_at
    assert taken_at is not None
    drill.recovery_point_seconds = max(0, int((started_at - taken_at).total_seconds()))
    drill.difference = "\n".join(different)[:4000]


def fail_drill(drill: RestoreDrill, error: str, now: datetime) -> None:
    drill.result, drill.finished_at, drill.difference = DrillResult.FAILED, now, error[:4000]


# --- retention ----------------------------------------------------------------------------------


def begin_deleting(
    session: Session, now: datetime, spared: Iterable[str], limit: int = 100
) -> list[tuple[int, str]]:
    """(id, location) of archives to remove: those whose time is over, from now on not to be
    restored, and those that an earlier call did not get to. `spared` are numbers that an open
    request or an unfinished job still wants."""
    over = sa.and_(
        Backup.state == BackupState.KEPT,
        Backup.retained_until <= now,
        Backup.number.not_in(list(spared)),
    )
    rows = session.scalars(
        sa.select(Backup)
        .where(sa.or_(over, Backup.state == BackupState.DELETING))
        .order_by(Backup.id)
        .limit(limit)
        .with_for_update(of=Backup, skip_locked=True)
    ).all()
    for row in rows:
        row.state = BackupState.DELETING
    session.flush()
    return [(row.id, row.location) for row in rows]


def end_deleting(session: Session, backup_id: int, now: datetime) -> Backup:
    """The archive is gone; its key goes too, so that no copy of the file can ever be opened."""
    backup = lock_backup(session, backup_id)
    backup.state, backup.deleted_at, backup.sealed_key = BackupState.DELETED, now, ""
    session.flush()
    return backup


def failed_leftovers(session: Session, now: datetime, limit: int = 100) -> list[str]:
    """Locations of backups that failed of late: whatever a killed run left there may go."""
    return list(
        session.scalars(
            sa.select(Backup.location)
            .where(
                Backup.state == BackupState.FAILED, Backup.finished_at > now - timedelta(hours=1)
            )
            .limit(limit)
        )
    )


def reseal(session: Session, keyring: Keyring, limit: int = 200) -> int:
    """Seals up to `limit` keys anew by the newest key of the keyring; returns how many there were
    that were not yet."""
    done = 0
    for archive in session.scalars(sa.select(LogArchive)):
        if not keyring.is_sealed_by_newest(archive.sealed_key):
            value = keyring.open(archive.chain, LOG_KEY, archive.sealed_key)
            archive.sealed_key = keyring.seal(archive.chain, LOG_KEY, value)
            done += 1
    for row in session.scalars(
        sa.select(Backup).where(Backup.sealed_key != "").order_by(Backup.id)
    ):
        if keyring.is_sealed_by_newest(row.sealed_key):
            continue
        value = keyring.open(row.resource_id, row.number, row.sealed_key)
        row.sealed_key = keyring.seal(row.resource_id, row.number, value)
        done += 1
        if done == limit:
            break
    session.flush()
    return done
