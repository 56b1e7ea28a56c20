"""One instance's turn in an upgrade: who must still wait, and how it begins."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.admission import service as admission
from controlplane.admission.models import Pool
from controlplane.admission.service import Claimant, UpgradeMember
from controlplane.backup_jobs import start_backup
from controlplane.backups import service as backups
from controlplane.backups.models import BackupSchedule
from controlplane.backups.rules import BackupKind
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.errors import AdmissionRefused, Fault, ResourceBusy
from controlplane.jobs import enqueue_action
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import UNFINISHED, ResourceState
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.standing import below_need_faults
from controlplane.upgrade_jobs import MEMBER
from controlplane.upgrade_previews import Standing, Upgraded, upgrade_action, upgraded
from controlplane.upgrades.models import Campaign, Member
from controlplane.upgrades.rules import MemberState


def busy_members(session: Session, campaign: Campaign) -> set[int]:
    """Members that cannot begin now: another job of theirs runs, or a change of theirs is in
    approval, which was filled in on the old version."""
    pending = {m.resource_id: m.id for m in campaign.members if m.state == MemberState.PENDING}
    jobs = sa.select(Job.resource_id).where(Job.resource_id.in_(pending), Job.state.in_(UNFINISHED))
    changing = sa.select(Resource.id).where(
        Resource.id.in_(pending),
        Resource.state.in_((ResourceState.CHANGING, ResourceState.BUILDING)),
    )
    asked = sa.select(ServiceRequest.resource_id).where(
        ServiceRequest.resource_id.in_(pending),
        ServiceRequest.state.in_((RequestState.IN_APPROVAL, RequestState.DELIVERING)),
    )
    busy = session.scalars(sa.union(jobs, changing, asked))
    return {pending[resource_id] for resource_id in busy if resource_id is not None}


def begin_member(
    session: Session,
    settings: Settings,
    catalogue: Catalogue,
    campaign: Campaign,
    member: Member,
    now: datetime,
) -> bool:
    """The instance is looked at once more, as it is now; then claims, state and job in one
    transaction, or the reason why it is passed over or stops the campaign. Whether it began."""
    resource = provisioning.lock_resource(session, member.resource_id)
    try:
        provisioning.check_idle(session, resource)
    except ResourceBusy:
        return False  # somebody was quicker: it is found busy the next time
    old, new = catalogue.of(resource), catalogue.version(campaign.service, campaign.to_version)
    action = upgrade_action(new) if new else None
    if new is None or action is None:
        fault = Fault("upgrade_not_declared", "", {"version": campaign.to_version})
        _settle(session, member, MemberState.FAILED, (fault,), now)
        return False
    standing = Standing(resource.spec, resource.capacity, resource.zone)
    seen = upgraded(old, new, action, standing, resource.state)
    faults = [
        *seen.faults,
        *below_need_faults(session, catalogue, resource, seen.capacity),
    ]
    if resource.service_version != campaign.from_version:
        faults.insert(0, Fault("version_is", "", {"version": resource.service_version}))
    if faults:
        _settle(session, member, MemberState.SKIPPED, faults, now)
        return False
    try:
        with session.begin_nested():
            _claim(session, member, resource, seen, now)
    except AdmissionRefused as refused:
        _settle(session, member, MemberState.FAILED, refused.faults, now)
        return False
    keyring = Keyring(settings.credential_keys)
    credentials.draw_missing(session, keyring, resource.id, new.drawn(new.secrets), now)
    payload = {
        "spec": seen.spec,
        "previous_spec": resource.spec,
        "capacity": seen.capacity,
        "resume_state": resource.state,
        MEMBER: member.id,
        **_backed_up_first(session, settings, old, resource, now),
    }
    resource.state = ResourceState.CHANGING
    job = enqueue_action(session, settings, new, action, resource, now, payload)
    member.state, member.job_id = MemberState.RUNNING, job.id
    member.started_at, member.ended_at, member.reason = now, None, ""
    provisioning.audit_resource(
        session,
        audit.SYSTEM,
        "resource_upgrade_begun",
        resource,
        now,
        campaign=campaign.number,
        job=job.number,
    )
    return True


def _claim(
    session: Session, member: Member, resource: Resource, seen: Upgraded, now: datetime
) -> None:
    """What was held when the campaign started becomes allocated; held anew where the instance has
    changed since, or has gone back. Errors: AdmissionRefused."""
    cause = UpgradeMember(member.id)
    if admission.held_for(session, cause) != seen.asked:
        admission.release_request(session, cause, now)
        pool = session.get_one(Pool, resource.pool_code, populate_existing=True)
        claimant = Claimant(cause, resource.id, resource.department, resource.zone)
        admission.hold(session, claimant, pool, seen.asked, now)
    admission.allocate(session, cause, now)


def _backed_up_first(
    session: Session, settings: Settings, old: Service, resource: Resource, now: datetime
) -> dict[str, Any]:
    """Where its service has backups one is taken, and the upgrade waits for its good end."""
    plan = old.backups_of(resource.spec)
    if plan is None:
        return {}
    keep_days = backups.plan_of(plan, session.get(BackupSchedule, resource.id)).keep_days
    backup = start_backup(session, settings, old, resource, BackupKind.MANUAL, keep_days, now)
    return {"safety_backup_id": backup.id, "keeps": [backup.number]}


def _settle(
    session: Session,
    member: Member,
    state: MemberState,
    faults: list[Fault] | tuple[Fault, ...],
    now: datetime,
) -> None:
    """It does not begin: what was held for it is given back."""
    admission.release_request(session, UpgradeMember(member.id), now)
    member.state, member.ended_at = state, now
    member.preview = {**member.preview, "faults": [asdict(fault) for fault in faults]}
