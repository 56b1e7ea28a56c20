"""Jobs that take, restore and prove backups: made in the transaction of their decision, and what
follows for backup and drill when one ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.admission.models import Pool
from controlplane.backups import logs
from controlplane.backups import service as backups
from controlplane.backups.models import Backup, RestoreDrill
from controlplane.backups.rules import (
    CLONE_OF,
    RESTORE_FROM,
    BackupKind,
    BackupState,
    DrillResult,
    cloned_states,
)
from controlplane.backups.store import BackupStore
from controlplane.catalogue.services import Action, BackupPlan, Service
from controlplane.catalogue.versions import Catalogue
from controlplane.config import Settings
from controlplane.credentials.keyring import Keyring
from controlplane.engines import SHARED
from controlplane.errors import ConfigurationMissing, NoBackups, ResourceBusy
from controlplane.jobs import enqueue_action
from controlplane.metering import service as metering
from controlplane.metering.rules import BACKUP_STORAGE
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import LIVE_STATES, UNFINISHED, JobState, ResourceState
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState

EXCHANGE = "exchange"
#: Kinds of actions whose ends are told here.
KINDS = ("backup", "restore", EXCHANGE, "drill")
#: States in which a resource is backed up and drilled.
BACKED_UP = (ResourceState.ACTIVE, ResourceState.STOPPED)


def declared_plan(catalogue: Catalogue, resource: Resource) -> BackupPlan:
    """How the resource's service says that it is backed up. Errors: NoBackups."""
    service = catalogue.find(resource)
    plan = service.backups_of(resource.spec) if service else None
    if plan is None:
        raise NoBackups
    return plan


def action_for(service: Service | None, kind: str) -> Action:
    """The service's action of a kind. Errors: NoBackups where it has none."""
    action = service.action_of_kind(kind) if service else None
    if action is None:
        raise NoBackups
    return action


def start_backup(
    session: Session,
    settings: Settings,
    service: Service,
    resource: Resource,
    kind: BackupKind,
    keep_days: int,
    now: datetime,
    *,
    due_at: datetime | None = None,
    then_destroy: bool = False,
    moment: datetime | None = None,
) -> Backup:
    """The backup and its job, of now or of `moment`. With `then_destroy` its good end begins the
    destruction."""
    keyring = Keyring(settings.credential_keys)
    backup = backups.order_backup(session, keyring, resource, kind, keep_days, now, due_at)
    payload = {
        "spec": resource.spec,
        "backup_id": backup.id,
        "keeps": [backup.number],
        "then_destroy": then_destroy,
    }
    if moment is not None:
        backup.taken_at, payload["moment"] = moment, moment.isoformat()
    action = action_for(service, "backup")
    enqueue_action(session, settings, service, action, resource, now, payload)
    return backup


def start_drill(
    session: Session,
    settings: Settings,
    service: Service,
    resource: Resource,
    backup: Backup,
    now: datetime,
    due_at: datetime | None = None,
) -> RestoreDrill:
    drill = backups.order_drill(session, backup, now, due_at)
    payload = {
        "spec": resource.spec,
        "backup_id": backup.id,
        "drill_id": drill.id,
        "keeps": [backup.number],
    }
    action = action_for(service, "drill")
    enqueue_action(session, settings, service, action, resource, now, payload)
    return drill


def start_destruction(
    session: Session, settings: Settings, service: Service, resource: Resource, now: datetime
) -> None:
    """The last step of a resource's life: where its service has backups a last one comes first, and
    the destruction waits for its good end."""
    resource.state = ResourceState.DESTROYING
    plan = service.backups_of(resource.spec)
    if plan is not None:
        start_backup(
            session,
            settings,
            service,
            resource,
            BackupKind.LAST,
            plan.last_keep_days,
            now,
            then_destroy=True,
        )
    else:
        enqueue_destruction(session, settings, service, resource, now)


def enqueue_destruction(
    session: Session, settings: Settings, service: Service, resource: Resource, now: datetime
) -> None:
    action, payload = service.actions["retire"], {"spec": resource.spec}
    enqueue_action(session, settings, service, action, resource, now, payload)


# --- a run --------------------------------------------------------------------------------------


def begin(session: Session, settings: Settings, job: Job, kind: str) -> tuple[dict[str, Any], str]:
    """`archive` for the play of a claimed job, where it is about one, or the `source` that it
    clones; or why it cannot run."""
    if kind == EXCHANGE:
        return {}, _hold_other(session, job)
    safety_id = job.payload.get("safety_backup_id")
    goes_ahead = safety_id and not job.payload.get("revert")
    if goes_ahead and session.get_one(Backup, safety_id).state != BackupState.KEPT:
        return {}, "what is there now could not be backed up first; nothing was changed"
    if kind == "create" and job.payload.get("spec", {}).get(CLONE_OF):
        return _clone_source(session, job)
    backup = _backup_of(session, job, kind)
    if backup is None:
        wanted = job.payload.get("spec", {}).get(RESTORE_FROM) if kind == "create" else ""
        return {}, f"backup {wanted} is not there" if wanted else ""
    store = BackupStore(settings.backups_dir)
    if kind == "backup":
        backup.state = BackupState.PENDING  # also where an engineer tries a failed one again
        archive = backups.to_take(backup, store, settings.backup_store_reserve_mib)
        if "moment" not in job.payload:
            return {"archive": archive}, ""
        past, lack = _past(session, settings, job)
        return {"archive": archive | {"past": past}}, lack
    if backup.state != BackupState.KEPT:
        return {}, f"backup {backup.number} is not kept any more"
    try:
        opened = backups.to_restore(backup, Keyring(settings.credential_keys), store)
    except ConfigurationMissing as missing:
        return {}, f"this deployment lacks {missing.params['what']}"
    return {"archive": opened}, ""


def _past(session: Session, settings: Settings, job: Job) -> tuple[dict[str, Any], str]:
    moment = datetime.fromisoformat(job.payload["moment"])
    archive = logs.archive_of(session, job.resource) if job.resource else None
    if archive is None or job.resource is None:
        return {}, "the log of its server is not archived any more"
    keyring = Keyring(settings.credential_keys)
    try:
        databases = _databases_of(session, job.resource)
        past = logs.to_go_back(archive, settings, keyring, moment, databases)
    except ConfigurationMissing as missing:
        return {}, f"this deployment lacks {missing.params['what']}"
    if past is None:
        return {}, f"the log archive goes back to {archive.oldest_at} only"
    return past, ""


def _databases_of(session: Session, resource: Resource) -> list[str]:
    """The resource's own, first, and all with which it may have changed data on their server, one
    after the other: what was in one is in the other since."""
    pairs = session.execute(
        sa.select(Job.resource_id, Job.payload)
        .join(Resource, Resource.id == Job.resource_id)
        .where(
            Job.action == EXCHANGE,
            Resource.department_id == resource.department_id,
            Resource.pool_code == resource.pool_code,
        )
    ).all()
    edges = [{one, payload["other_id"]} for one, payload in pairs]
    found = [resource.id]
    for each in found:
        met = {other for edge in edges if each in edge for other in edge}
        found += sorted(met.difference(found))
    rows = session.scalars(sa.select(Resource).where(Resource.id.in_(found)))
    names = {row.id: row.outputs.get("database") for row in rows}
    return [name for each in found if (name := names[each])]


def _clone_source(session: Session, job: Job) -> tuple[dict[str, Any], str]:
    number, resource = job.payload["spec"][CLONE_OF], job.resource
    source = session.scalars(sa.select(Resource).where(Resource.number == number)).first()
    if source is None or resource is None or source.department_id != resource.department_id:
        return {}, f"there is no {number} to clone"
    pool = session.get_one(Pool, source.pool_code)
    if source.state not in cloned_states(pool.engine):
        return {}, f"{number}, which was to be cloned, is {source.state}"
    told = {"resource_id": source.id, "service": source.service, "outputs": source.outputs}
    if pool.engine == SHARED and source.pool_code != resource.pool_code:
        told["cloud"] = pool.cloud
    return {"source": told}, ""


def _backup_of(session: Session, job: Job, kind: str) -> Backup | None:
    if job.payload.get("backup_id"):
        return session.get(Backup, job.payload["backup_id"])
    number = job.payload.get("spec", {}).get(RESTORE_FROM) if kind == "create" else None
    return backups.find_backup(session, number) if number else None


def _hold_other(session: Session, job: Job) -> str:
    """No other action may begin on the other resource of an exchange; or why it cannot be held,
    where an engineer tries a failed exchange again."""
    other = provisioning.lock_resource(session, job.payload["other_id"])
    if other.state != ResourceState.CHANGING:
        try:
            provisioning.check_idle(session, other)
        except ResourceBusy:
            return f"{other.number} is busy"
        if other.state != job.payload["other_state"]:
            return f"{other.number} is {other.state}"
        other.state = ResourceState.CHANGING
    return ""


def complete(
    session: Session,
    settings: Settings,
    service: Service,
    job: Job,
    resource: Resource,
    kind: str,
    told: Mapping[str, Any],
    now: datetime,
) -> None:
    """What a good end means; `told` is what the playbook reported."""
    if kind == "backup":
        backup = backups.lock_backup(session, job.payload["backup_id"])
        backups.keep_backup(backup, told["backup"], now)
        session.flush()
        meter(session, resource, now)
        _note(session, "backup_taken", resource, now, backup=backup.number, kind=backup.kind)
        if job.payload.get("then_destroy"):
            enqueue_destruction(session, settings, service, resource, now)
    elif kind == "drill":
        drill = session.get_one(RestoreDrill, job.payload["drill_id"])
        backups.end_drill(drill, told["drill"], job.started_at or now, now)
        event = "restore_proven" if drill.result == DrillResult.PASSED else "restore_not_proven"
        _note(session, event, resource, now, backup=drill.backup.number)
    elif kind == "restore":
        number = session.get_one(Backup, job.payload["backup_id"]).number
        _note(session, "resource_restored", resource, now, backup=number)
    else:
        other = _free_other(session, job)
        _note(session, "resource_exchanged", resource, now, other=other.number)
        _note(session, "resource_exchanged", other, now, other=resource.number)


def fail(
    session: Session, job: Job, resource: Resource, kind: str, error: str, now: datetime
) -> None:
    """What a bad end means: engineers see the job on their board and may try it again."""
    if kind == "backup":
        backups.fail_backup(backups.lock_backup(session, job.payload["backup_id"]), error, now)
        _note(session, "backup_failed", resource, now, reason=error[:200])
    elif kind == "drill":
        drill = session.get_one(RestoreDrill, job.payload["drill_id"])
        backups.fail_drill(drill, error, now)
        _note(session, "restore_not_proven", resource, now, reason=error[:200])
    elif kind == EXCHANGE:
        _free_other(session, job)


def _free_other(session: Session, job: Job) -> Resource:
    """The other resource of an exchange, which was held still for it, as it was."""
    other = provisioning.lock_resource(session, job.payload["other_id"])
    if other.state == ResourceState.CHANGING:
        other.state = job.payload["other_state"]
    return other


def _note(session: Session, event: str, resource: Resource, now: datetime, **data: Any) -> None:
    provisioning.audit_resource(session, audit.SYSTEM, event, resource, now, **data)


# --- what is metered ----------------------------------------------------------------------------


def meter(session: Session, resource: Resource, at: datetime) -> None:
    """From `at` on what the resource holds, while it stands, and what its backups take in the
    store, also when it is gone."""
    held = dict(resource.capacity) if resource.state in LIVE_STATES else {}
    request = session.get_one(ServiceRequest, resource.request_id)
    metering.meter(
        session,
        resource_id=resource.id,
        department_id=resource.department_id,
        request_number=request.number or "",
        held={**held, BACKUP_STORAGE: backups.stored_gib(session, resource.id)},
        at=at,
    )


# --- what is still wanted -----------------------------------------------------------------------


def spared_numbers(session: Session, now: datetime) -> set[str]:
    """Numbers of backups that an open request or an unfinished job still needs: retention waits."""
    open_states = (RequestState.IN_APPROVAL, RequestState.DELIVERING)
    specs = session.scalars(
        sa.select(ServiceRequest.spec).where(ServiceRequest.state.in_(open_states))
    )
    spared = {spec[RESTORE_FROM] for spec in specs if spec.get(RESTORE_FROM)}
    # A job that failed of late may be tried again by an engineer.
    of_late = sa.and_(Job.state == JobState.FAILED, Job.finished_at > now - timedelta(days=1))
    payloads = session.scalars(
        sa.select(Job.payload).where(sa.or_(Job.state.in_(UNFINISHED), of_late))
    )
    return spared | {number for payload in payloads for number in payload.get("keeps", ())}
