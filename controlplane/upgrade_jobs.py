"""How the job of an upgrade ends: what follows for the instance, its claims, and the campaign's
member. The campaign itself is moved on by a tick."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.admission import service as admission
from controlplane.admission.service import UpgradeMember
from controlplane.catalogue.services import Service
from controlplane.config import Settings
from controlplane.jobs import enqueue_action
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.upgrades.models import Member
from controlplane.upgrades.rules import MemberState

KIND = "upgrade"
MEMBER = "upgrade_member_id"


def complete(
    session: Session, job: Job, resource: Resource, outputs: Mapping[str, Any], now: datetime
) -> bool:
    """A good end; returns whether the instance is upgraded: else it has gone back."""
    member = session.get_one(Member, job.payload[MEMBER])
    resource.state = job.payload["resume_state"]
    resource.outputs = {**resource.outputs, **outputs}
    if job.payload.get("revert"):
        admission.release_request(session, UpgradeMember(member.id), now)
        _end(member, MemberState.FAILED, member.reason, now)
        return False
    older, resource.service_version = resource.service_version, job.payload["service_version"]
    resource.spec, resource.capacity = job.payload["spec"], job.payload["capacity"]
    admission.settle(session, UpgradeMember(member.id), now)
    _end(member, MemberState.DONE, "", now)
    provisioning.audit_resource(
        session,
        audit.SYSTEM,
        "resource_upgraded",
        resource,
        now,
        campaign=member.campaign.number,
        older=older,
        version=resource.service_version,
    )
    return True


def fail(
    session: Session,
    settings: Settings,
    service: Service,
    job: Job,
    resource: Resource,
    error: str,
    now: datetime,
    *,
    began: bool,
) -> None:
    """A bad end: the same play goes back, with before and after exchanged. `began`: whether
    anything of the job may be on the cloud."""
    member = session.get_one(Member, job.payload[MEMBER])
    provisioning.audit_resource(
        session,
        audit.SYSTEM,
        "resource_upgrade_failed",
        resource,
        now,
        campaign=member.campaign.number,
        reason=error[:200],
    )
    if not began:
        resource.state = job.payload["resume_state"]
        admission.release_request(session, UpgradeMember(member.id), now)
        _end(member, MemberState.FAILED, error, now)
        return
    payload = {
        **job.payload,
        "spec": job.payload["previous_spec"],
        "previous_spec": job.payload["spec"],
        "revert": True,
    }
    action = service.actions[job.action]
    back = enqueue_action(session, settings, service, action, resource, now, payload)
    member.state, member.reason, member.job_id = MemberState.GOING_BACK, error[:2000], back.id


def _end(member: Member, state: MemberState, reason: str, now: datetime) -> None:
    member.state, member.reason, member.ended_at = state, reason[:2000], now
