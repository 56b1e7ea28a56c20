"""What a job does with the certificates of its resource: looked over before its play runs, signed,
held, released or revoked in the transaction that ends it well. What the platform itself serves with
(a web application's, that of a server on a machine) is signed before the play, which brings it into
service; it counts from the end of that on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from controlplane import audit, messages
from controlplane.catalogue.services import Action
from controlplane.certificates import service as certificates
from controlplane.certificates.authority import ROOT, Authority
from controlplane.certificates.models import Certificate
from controlplane.certificates.rules import (
    NAMES,
    REASON,
    SERVED_VALID,
    SERVING,
    Certifies,
    Reason,
    Request,
    read_order,
    renewal_is_due,
    served_at,
)
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState
from controlplane.errors import ConfigurationMissing, Fault
from controlplane.machine_certificates import (
    SERVER_KEY,
    VALID,
    audit_signed,
    sealed_as,
    server_request,
)
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.pairs import MACHINE

PRIVATE_KEY = "private_key"
#: The output that holds the names which are served; `prefilled_from` of the action.
SERVED = "https"
#: What a resource has while it serves with a certificate.
OUTPUTS_OF_SERVICE = (
    SERVED,
    "https_url",
    "https_port",
    "certificate_serial",
    "certificate_not_after",
)


def authority_of(settings: Settings) -> Authority:
    return Authority(settings.authority, settings.lists_url)


def begin(
    session: Session, settings: Settings, job: Job, action: Action | None, now: datetime
) -> tuple[dict[str, Any], str]:
    """`certificate` or `tls` for the play of a claimed job, or why it cannot be done: domains and
    machines may have changed hands since the order was sent."""
    if action is None or action.certifies is None or job.resource is None:
        return {}, ""
    if job.payload.get("cleanup") or job.payload.get("revert"):
        return {}, ""
    spec = {**job.payload.get("spec", {}), **job.payload.get("inputs", {})}
    faults = action_faults(session, action, job.resource, spec, now)
    said = "; ".join(messages.text_of_fault(fault, "en") for fault in faults)
    if action.certifies in (Certifies.SERVE, Certifies.RENEW) and not said:
        try:
            return {"tls": _sign_for_run(session, settings, job.resource, spec, now)}, ""
        except ConfigurationMissing as missing:
            return {}, f"this deployment lacks {missing.params['what']}"
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
    if action.certifies == Certifies.SERVE:
        names = {NAMES: "\n".join(_served_names(resource, spec))}
        return certificates.served_faults(session, resource, names)
    if action.certifies == Certifies.RELEASE and not certificates.has_held(
        session, resource.id, now
    ):
        return [Fault("certificate_none_held")]
    return []


def served(session: Session, settings: Settings, resource: Resource) -> dict[str, Any] | None:
    """`tls` for a run: the certificate in force, where the platform has its key. Errors:
    ConfigurationMissing."""
    row = certificates.in_force(session, resource.id)
    if row is None:
        return None
    opened = credentials.open_all(session, Keyring(settings.credential_keys), resource.id)
    key = opened.get(CredentialState.CURRENT, {}).get(PRIVATE_KEY)
    return _told(settings, row, key) if key else None


def withdraw(session: Session, settings: Settings, resource: Resource, now: datetime) -> None:
    """What was signed for a run that has failed, and of which nothing is in service, is revoked."""
    rows = certificates.revoke_pending(session, authority_of(settings), resource.id, now)
    credentials.drop(session, _holder_id(resource), CredentialState.NEXT)
    _audit(session, "certificate_revoked", resource, rows, now)


def _sign_for_run(
    session: Session,
    settings: Settings,
    resource: Resource,
    spec: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """Every try of a run is told the same; another run's that has failed is not taken up. Errors:
    ConfigurationMissing."""
    authority, keyring = authority_of(settings), Keyring(settings.credential_keys)
    holder_id, is_on_machine = _holder_id(resource), MACHINE in resource.spec
    wanted, valid = _wanted(session, resource, spec)
    row = certificates.pending(session, resource.id)
    opened = credentials.open_all(session, keyring, holder_id)
    sealed = SERVER_KEY if is_on_machine else PRIVATE_KEY
    key = opened.get(CredentialState.NEXT, {}).get(sealed)
    is_same = row is not None and row.names == [*wanted.names, *wanted.addresses]
    if row is not None and key and is_same and not renewal_is_due(row.not_after, now):
        return _told(settings, row, key)
    withdraw(session, settings, resource, now)
    row, key = certificates.issue_served(session, authority, resource, wanted, valid, now)
    made = sealed_as(authority, row, key) if is_on_machine else {PRIVATE_KEY: key}
    credentials.keep(session, keyring, holder_id, made, CredentialState.NEXT, now)
    audit_signed(session, resource, row, now)
    return _told(settings, row, key)


def _holder_id(resource: Resource) -> str:
    """Whose id the key is sealed with: the machine's, where the server has one of its own."""
    return str(resource.spec.get(MACHINE) or resource.id)


def _wanted(
    session: Session, resource: Resource, spec: Mapping[str, Any]
) -> tuple[Request, timedelta]:
    """Under which names and addresses it serves, and for how long that is signed."""
    if MACHINE in resource.spec:
        return server_request(session.get_one(Resource, resource.spec[MACHINE])), VALID
    names, address = _served_names(resource, spec), str(resource.outputs.get("address") or "")
    return served_at(names, address), SERVED_VALID


def _served_names(resource: Resource, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Those typed; where an action asks for none, those served now."""
    now_served = resource.outputs.get(SERVED) or {}
    request, _ = read_order({NAMES: spec.get(NAMES, now_served.get(NAMES))})
    return request.names


def _told(settings: Settings, row: Certificate, key: str) -> dict[str, Any]:
    authority = authority_of(settings)
    return {
        "serial": row.serial,
        "names": row.names,
        "certificate": row.pem + authority.chain_pem(row.issuer),
        "key": key,
        "ca_file": str(authority.certificate_path(ROOT).resolve()),
    }


def complete(
    session: Session,
    settings: Settings,
    job: Job,
    resource: Resource,
    action: Action | None,
    now: datetime,
) -> dict[str, Any]:
    """What follows for the certificates; outputs of the resource. Errors: ConfigurationMissing."""
    if action is None or action.certifies is None:
        return {}
    if job.payload.get("revert"):
        if action.certifies in SERVING:
            withdraw(session, settings, resource, now)
        return {}
    authority, spec = authority_of(settings), job.payload.get("spec", {})
    match action.certifies:
        case Certifies.SERVE:
            spec = {**spec, **job.payload.get("inputs", {})}
            return _serves(session, authority, resource, spec, now)
        case Certifies.RENEW:
            _put_in_force(session, authority, resource, now)
            return {}
        case Certifies.UNSERVE:
            return _end_service(session, authority, resource, now)
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
    audit_signed(session, resource, row, now)
    return {
        "serial": row.serial,
        "names": row.names,
        "not_after": row.not_after.isoformat(),
        "certificate": row.pem,
        "chain": authority.chain_pem(row.issuer),
        "ca_certificate": authority.root_pem,
        "list_url": f"{authority.base_url}/pki/{row.issuer}.crl",
    }


def delivered(session: Session, settings: Settings, resource: Resource, now: datetime) -> None:
    """The server on a machine has served with its certificate from the first."""
    certificates.put_in_force(session, authority_of(settings), resource.id, now)


def _put_in_force(
    session: Session, authority: Authority, resource: Resource, now: datetime
) -> Certificate:
    """What serves has the new key, and nothing has the old one any more."""
    row, replaced = certificates.put_in_force(session, authority, resource.id, now)
    assert row is not None
    credentials.promote(session, _holder_id(resource), now, timedelta())
    credentials.drop(session, _holder_id(resource), CredentialState.PREVIOUS)
    _audit(session, "certificate_revoked", resource, replaced, now, reason=Reason.SUPERSEDED)
    return row


def _serves(
    session: Session,
    authority: Authority,
    resource: Resource,
    spec: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    names = _served_names(resource, spec)
    row = _put_in_force(session, authority, resource, now)
    return {
        SERVED: {NAMES: "\n".join(names)},
        "certificate_serial": row.serial,
        "certificate_not_after": row.not_after.isoformat(),
    }


def _end_service(
    session: Session, authority: Authority, resource: Resource, now: datetime
) -> dict[str, Any]:
    rows = certificates.put_on_list(session, authority, resource.id, Reason.CESSATION, now)
    credentials.drop(session, resource.id, CredentialState.CURRENT)
    _audit(session, "certificate_revoked", resource, rows, now, reason=Reason.CESSATION)
    return dict.fromkeys(OUTPUTS_OF_SERVICE)


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
