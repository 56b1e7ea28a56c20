"""What a job does with the certificates of its resource: looked over before its play runs, signed,
held, released or revoked in the transaction that ends it well."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from controlplane import audit, messages
from controlplane.catalogue.services import Action
from controlplane.certificates import service as certificates
from controlplane.certificates.authority import Authority
from controlplane.certificates.models import Certificate
from controlplane.certificates.rules import REASON, Certifies, Reason, read_order
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.errors import Fault
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource

PRIVATE_KEY = "private_key"


def authority_of(settings: Settings) -> Authority:
    return Authority(settings.authority, settings.lists_url)


def begin(
    session: Session, job: Job, action: Action | None, now: datetime
) -> tuple[dict[str, Any], str]:
    """`certificate` for the play of a claimed job, or why it cannot be done: domains and machines
    may have changed hands since the order was sent."""
    if action is None or action.certifies is None or job.resource is None:
        return {}, ""
    if job.payload.get("cleanup") or job.payload.get("revert"):
        return {}, ""
    spec = job.payload["spec"]
    faults = action_faults(session, action, job.resource, spec, now)
    said = "; ".join(messages.text_of_fault(fault, "en") for fault in faults)
    if action.certifies != Certifies.ISSUE:
        return {}, said
    request, _ = read_order(spec)
    told = {"names": list(request.names), "addresses": list(request.addresses)}
    return {"certificate": told}, said


def action_faults(
    session: Session, action: Action, resource: Resource, spec: Mapping[str, Any], now: datetime
) -> list[Fault]:
    """Why an action cannot do with the certificates what it is for."""
    if action.certifies == Certifies.ISSUE:
        return certificates.order_faults(session, resource.department, spec)
    if action.certifies == Certifies.RELEASE and not certificates.has_held(
        session, resource.id, now
    ):
        return [Fault("certificate_none_held")]
    return []


def complete(
    session: Session,
    settings: Settings,
    job: Job,
    resource: Resource,
    action: Action | None,
    now: datetime,
) -> dict[str, Any]:
    """What follows for the certificates; outputs of the resource. Errors: ConfigurationMissing."""
    if action is None or action.certifies is None or job.payload.get("revert"):
        return {}
    authority, spec = authority_of(settings), job.payload["spec"]
    match action.certifies:
        case Certifies.ISSUE:
            if action.to_state == "active":  # what was suspended is not waited for any more
                rows = certificates.supersede_held(session, authority, resource.id, now)
                _audit(session, "certificate_revoked", resource, rows, now)
            return _issue(session, settings, authority, resource, spec, action, now)
        case Certifies.RELEASE:
            rows = certificates.release(session, authority, resource.id, now)
            _audit(session, "certificate_released", resource, rows, now)
        case Certifies.HOLD:
            rows = certificates.put_on_list(session, authority, resource.id, Reason.HOLD, now)
            _audit(session, "certificate_held", resource, rows, now)
        case _:
            reason = (
                Reason.CESSATION
                if action.kind == "retire"
                else Reason(job.payload["inputs"][REASON])
            )
            rows = certificates.put_on_list(session, authority, resource.id, reason, now)
            _audit(session, "certificate_revoked", resource, rows, now, reason=reason.value)
    return {}


def _issue(
    session: Session,
    settings: Settings,
    authority: Authority,
    resource: Resource,
    spec: Mapping[str, Any],
    action: Action,
    now: datetime,
) -> dict[str, Any]:
    row, private_key = certificates.issue(session, authority, resource, spec, now)
    _keep_key(session, Keyring(settings.credential_keys), resource, action, private_key, now)
    _audit(
        session,
        "certificate_issued",
        resource,
        [row],
        now,
        names=", ".join(row.names),
        expires_at=row.not_after.isoformat(),
    )
    return {
        "serial": row.serial,
        "names": row.names,
        "not_after": row.not_after.isoformat(),
        "certificate": row.pem,
        "chain": authority.chain_pem(row.issuer),
        "ca_certificate": authority.root_pem,
        "list_url": f"{authority.base_url}/pki/{row.issuer}.crl",
    }


def _keep_key(
    session: Session,
    keyring: Keyring,
    resource: Resource,
    action: Action,
    private_key: str,
    now: datetime,
) -> None:
    """The key before is kept as long as the action's grace time; where the department has brought
    its own request, there is none of ours any more."""
    if not private_key:
        credentials.drop(session, resource.id, CredentialState.CURRENT)
        return
    is_first = action.kind == "create"
    state = CredentialState.CURRENT if is_first else CredentialState.NEXT
    credentials.keep(session, keyring, resource.id, {PRIVATE_KEY: private_key}, state, now)
    if not is_first and not action.rotates:
        credentials.promote(session, resource.id, now, timedelta(hours=action.grace_hours))


def _audit(
    session: Session,
    event: str,
    resource: Resource,
    rows: list[Certificate],
    now: datetime,
    **data: str,
) -> None:
    for row in rows:
        provisioning.audit_resource(
            session, audit.SYSTEM, event, resource, now, serial=row.serial, **data
        )
