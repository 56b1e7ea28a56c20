"""Use cases of certificates: who may have which, signed, held, released, revoked, listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session

from controlplane.certificates import rules
from controlplane.certificates.authority import Authority, Entry, Leaf, key_pem, new_key
from controlplane.certificates.models import Certificate, RevocationList
from controlplane.certificates.rules import CertificateState, Entitlement, Reason
from controlplane.errors import Fault
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import LIVE_STATES
from controlplane.tenancy.models import Department


def order_faults(session: Session, department: Department, spec: Mapping[str, Any]) -> list[Fault]:
    """Everything that keeps the department's order from being signed."""
    return rules.order_faults(spec, _entitlement(session, department))


def served_faults(session: Session, resource: Resource, spec: Mapping[str, Any]) -> list[Fault]:
    """The same of what `resource` shall serve by its own names: none that another serves."""
    entitled = _entitlement(session, resource.department, _served_by_others(session, resource))
    return rules.order_faults(spec, entitled)


def _served_by_others(session: Session, resource: Resource) -> dict[str, str]:
    """Who of the same service has which name in force, or is about to have it."""
    rows = session.execute(
        sa.select(Certificate.names, Resource.number)
        .join(Resource, Resource.id == Certificate.resource_id)
        .where(
            Resource.service == resource.service,
            Resource.id != resource.id,
            Resource.state.in_(LIVE_STATES),
            Certificate.state.in_(rules.UNLISTED),
        )
    )
    return {name: number for names, number in rows for name in names}


def _entitlement(
    session: Session, department: Department, taken: Mapping[str, str] | None = None
) -> Entitlement:
    domains = session.scalars(sa.select(Department.domain).where(Department.domain.is_not(None)))
    outputs = session.scalars(
        sa.select(Resource.outputs).where(
            Resource.department_id == department.id,
            Resource.service == "vm",
            Resource.state.in_(LIVE_STATES),
        )
    )
    compromised = session.scalars(
        sa.select(Certificate.key_id).where(Certificate.reason == Reason.KEY_COMPROMISE)
    )
    return Entitlement(
        own=department.domain,
        domains=frozenset(d for d in domains if d),
        addresses=frozenset(
            str(address)
            for told in outputs
            for address in (told.get("addresses") or {}).values()
            if address
        ),
        compromised=frozenset(compromised),
        taken=taken or {},
    )


def issue(
    session: Session,
    authority: Authority,
    resource: Resource,
    spec: Mapping[str, Any],
    now: datetime,
) -> tuple[Certificate, str]:
    """Signs for a resource and records it; returns with it the PEM of the private key, empty where
    the department brought a request. The caller has checked the order. Errors:
    ConfigurationMissing (no authority, or no key)."""
    request, _ = rules.read_order(spec)
    valid = timedelta(days=int(spec["plan"]["validity_days"]))
    pasted = "" if request.public_key is None else str(spec[rules.REQUEST])
    return _sign(
        session, authority, resource, request, pasted, CertificateState.VALID, now, now + valid
    )


def issue_served(
    session: Session,
    authority: Authority,
    resource: Resource,
    request: rules.Request,
    valid: timedelta,
    now: datetime,
) -> tuple[Certificate, str]:
    """As `issue`, for what the platform serves under the request's names and addresses; pending
    until the run that brings it into service has ended well."""
    until = now + valid
    return _sign(session, authority, resource, request, "", CertificateState.PENDING, now, until)


def register(
    session: Session,
    authority: Authority,
    resource: Resource,
    signed: x509.Certificate,
    now: datetime,
) -> Certificate | None:
    """Records what was signed before it had its place here; None for what no authority of ours
    signed. What is in service is valid."""
    label = authority.issuer_of(signed)
    if label is None:
        return None
    found = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = [str(general.value) for general in found]
    row = _row(resource, label, signed, names, CertificateState.VALID, now)
    session.add(row)
    session.flush()
    return row


def _sign(
    session: Session,
    authority: Authority,
    resource: Resource,
    request: rules.Request,
    pasted: str,
    state: CertificateState,
    now: datetime,
    until: datetime,
) -> tuple[Certificate, str]:
    private = None if request.public_key is not None else new_key()
    public = private.public_key() if private is not None else request.public_key
    assert public is not None
    organisation = resource.department.name_zh
    leaf = Leaf(organisation, request.names, request.addresses, public, until)
    label = authority.current
    signed = authority.sign(leaf, now)
    row = _row(resource, label, signed, [*request.names, *request.addresses], state, now)
    row.request = pasted
    session.add(row)
    session.flush()
    return row, key_pem(private) if private is not None else ""


def _row(
    resource: Resource,
    label: str,
    signed: x509.Certificate,
    names: list[str],
    state: CertificateState,
    now: datetime,
) -> Certificate:
    key: Any = signed.public_key()
    return Certificate(
        serial=f"{signed.serial_number:x}",
        issuer=label,
        resource_id=resource.id,
        names=names,
        key_id=rules.key_id(key),
        not_before=signed.not_valid_before_utc,
        not_after=signed.not_valid_after_utc,
        pem=signed.public_bytes(Encoding.PEM).decode(),
        state=state,
        created_at=now,
    )


def certificates_of(session: Session, resource_id: str) -> Sequence[Certificate]:
    """Of a resource, the newest first."""
    return session.scalars(
        sa.select(Certificate)
        .where(Certificate.resource_id == resource_id)
        .order_by(Certificate.id.desc())
    ).all()


def in_force(session: Session, resource_id: str) -> Certificate | None:
    """The newest that is neither revoked nor waits for its run."""
    rows = _in_states(session, resource_id, *rules.IN_FORCE)
    return rows[-1] if rows else None


def pending(session: Session, resource_id: str) -> Certificate | None:
    """What was signed for a run that has not ended well yet."""
    rows = _in_states(session, resource_id, CertificateState.PENDING)
    return rows[-1] if rows else None


def put_in_force(
    session: Session, authority: Authority, resource_id: str, now: datetime
) -> tuple[Certificate | None, list[Certificate]]:
    """The pending certificate is in service; those that it takes the place of are revoked: their
    keys are nowhere any more. Returns it, and them."""
    row = pending(session, resource_id)
    if row is None:
        return None, []
    replaced = _in_states(session, resource_id, CertificateState.VALID)
    row.state = CertificateState.VALID
    _revoke(session, authority, replaced, Reason.SUPERSEDED, now)
    return row, replaced


def revoke_pending(
    session: Session, authority: Authority, resource_id: str, now: datetime
) -> list[Certificate]:
    """What was signed for a run that has failed."""
    rows = _in_states(session, resource_id, CertificateState.PENDING)
    _revoke(session, authority, rows, Reason.SUPERSEDED, now)
    return rows


def _revoke(
    session: Session,
    authority: Authority,
    rows: Sequence[Certificate],
    reason: Reason,
    now: datetime,
) -> None:
    for row in rows:
        row.state, row.reason, row.revoked_at = CertificateState.REVOKED, reason, now
    session.flush()
    publish(session, authority, {row.issuer for row in rows}, now)


def put_on_list(
    session: Session, authority: Authority, resource_id: str, reason: Reason, now: datetime
) -> list[Certificate]:
    """Holds or revokes all of the resource's certificates that are not revoked for good; those that
    have expired too, so that a key that leaked is known. The lists say so when this commits."""
    is_hold = reason is Reason.HOLD
    of_runs = () if is_hold else (CertificateState.PENDING,)
    rows = _in_states(session, resource_id, *rules.IN_FORCE, *of_runs)
    for row in rows:
        row.state = CertificateState.HELD if is_hold else CertificateState.REVOKED
        row.reason, row.revoked_at = reason, now
    session.flush()
    publish(session, authority, {row.issuer for row in rows}, now)
    return rows


def supersede_held(
    session: Session, authority: Authority, resource_id: str, now: datetime
) -> list[Certificate]:
    """Revokes for good what is on hold: another certificate takes its place."""
    rows = _in_states(session, resource_id, CertificateState.HELD)
    for row in rows:
        row.state, row.reason = CertificateState.REVOKED, Reason.SUPERSEDED
    session.flush()
    publish(session, authority, {row.issuer for row in rows}, now)
    return rows


def release(
    session: Session, authority: Authority, resource_id: str, now: datetime
) -> list[Certificate]:
    """Takes what is on hold off the lists."""
    rows = _in_states(session, resource_id, CertificateState.HELD)
    for row in rows:
        row.state, row.reason, row.revoked_at = CertificateState.VALID, "", None
    session.flush()
    publish(session, authority, {row.issuer for row in rows}, now)
    return rows


def has_held(session: Session, resource_id: str, now: datetime) -> bool:
    """Whether a release would bring back a certificate that is still good."""
    held = _in_states(session, resource_id, CertificateState.HELD)
    return any(row.not_after > now for row in held)


def publish(session: Session, authority: Authority, issuers: Iterable[str], now: datetime) -> None:
    """A new list of each issuing authority, in the transaction of what it tells.

    Its row is locked before the certificates are read: of two at once the later one lists both.
    """
    for issuer in sorted(issuers):
        row = session.get(RevocationList, issuer, with_for_update=True)
        number = row.number + 1 if row is not None else 1
        listed = session.scalars(
            sa.select(Certificate)
            .where(
                Certificate.issuer == issuer,
                Certificate.state.not_in(rules.UNLISTED),
                Certificate.not_after > now - rules.LISTED_AFTER_END,
            )
            .order_by(Certificate.id)
        )
        entries = [
            Entry(int(c.serial, 16), c.revoked_at or now, Reason(c.reason).value) for c in listed
        ]
        der = authority.sign_list(issuer, entries, number, now)
        if row is None:
            row = RevocationList(issuer=issuer)
            session.add(row)
        row.number, row.der = number, der
        row.this_update, row.next_update = now, now + rules.LIST_VALID
    session.flush()


def refresh_lists(session: Session, authority: Authority, now: datetime) -> int:
    """Signs anew the lists that are a day old; returns how many."""
    dated = dict(
        session.execute(sa.select(RevocationList.issuer, RevocationList.this_update)).all()
    )
    due = [
        label
        for label in authority.issuing()
        if authority.has_key(label) and rules.list_is_due(dated.get(label), now)
    ]
    publish(session, authority, due, now)
    return len(due)


def list_der(session: Session, issuer: str) -> RevocationList | None:
    return session.get(RevocationList, issuer)


def due_for_renewal(session: Session, now: datetime, limit: int = 200) -> list[str]:
    """Resources whose certificate in force is valid and nears its end."""
    later = sa.orm.aliased(Certificate)
    return list(
        session.scalars(
            sa.select(Certificate.resource_id)
            .join(Resource, Resource.id == Certificate.resource_id)
            .where(
                Resource.state == "active",
                Certificate.state == CertificateState.VALID,
                Certificate.not_after <= now + rules.RENEW_BEFORE,
                ~sa.select(later.id)
                .where(
                    later.resource_id == Certificate.resource_id,
                    later.id > Certificate.id,
                    later.state.in_(rules.IN_FORCE),
                )
                .exists(),
            )
            .order_by(Certificate.not_after)
            .limit(limit)
        )
    )


def _in_states(session: Session, resource_id: str, *states: CertificateState) -> list[Certificate]:
    return list(
        session.scalars(
            sa.select(Certificate)
            .where(Certificate.resource_id == resource_id, Certificate.state.in_(states))
            .order_by(Certificate.id)
        )
    )
