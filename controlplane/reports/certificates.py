"""Certificates that a person may see: the list of all that were issued, and those of a resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.certificates.models import Certificate, RevocationList
from controlplane.certificates.rules import IN_FORCE, CertificateState, shown_state
from controlplane.errors import NotFound
from controlplane.policy import Subject
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import LIVE_STATES
from controlplane.reports.reminders import BELL, FIRST
from controlplane.reports.scope import Page, departments_in, holds_text, paged

EXPIRED = "expired"
ENDING_SHOWN = 6
STATES = (*(state.value for state in CertificateState), EXPIRED)


@dataclass(frozen=True)
class CertificateFilter:
    """`state` one of STATES; `text` occurs in serial number, names or the resource's name."""

    state: str = ""
    text: str = ""


def list_certificates(
    session: Session, subject: Subject, chosen: CertificateFilter, now: datetime, page: int = 1
) -> Page[Certificate]:
    """All that were ever issued, the newest first."""
    query = _visible(subject)
    if chosen.state == EXPIRED:
        query = query.where(
            Certificate.not_after <= now, Certificate.state != CertificateState.REVOKED
        )
    elif chosen.state:
        query = query.where(Certificate.state == chosen.state)
        if chosen.state != CertificateState.REVOKED:
            query = query.where(Certificate.not_after > now)
    if chosen.text:
        names = sa.cast(Certificate.names, sa.String)
        query = query.where(holds_text(chosen.text, Certificate.serial, names, Resource.name))
    return paged(session, query.order_by(Certificate.id.desc()), page)


def ending_soon(session: Session, subject: Subject, now: datetime) -> Sequence[Certificate]:
    """The newest certificate of each resource of the person's departments, where that is valid and
    ends within the days of the first reminder; the first to end first."""
    query = _ending(subject, now, FIRST).order_by(Certificate.not_after, Certificate.id)
    return session.scalars(query.limit(ENDING_SHOWN)).all()


def count_ending(subject: Subject, now: datetime) -> sa.Select[Any]:
    """How many of them the bell counts."""
    return sa.select(sa.func.count()).select_from(_ending(subject, now, BELL).subquery())


def find_certificate(session: Session, subject: Subject, serial: str) -> Certificate:
    """Errors: NotFound, also when it is not for this person."""
    query = _visible(subject).where(Certificate.serial == serial)
    row: Certificate | None = session.scalars(query).first()
    if row is None:
        raise NotFound
    return row


def revocation_lists(session: Session) -> Sequence[RevocationList]:
    return session.scalars(sa.select(RevocationList).order_by(RevocationList.issuer)).all()


def state_now(row: Certificate, now: datetime) -> str:
    """What a person is told: one that has ended is neither valid nor on hold any more."""
    return shown_state(row.state, row.not_after, now)


def _ending(subject: Subject, now: datetime, within: timedelta) -> sa.Select[Any]:
    """One that was followed by another, or of a resource that is gone, is nobody's trouble."""
    newest = (
        sa.select(sa.func.max(Certificate.id))
        .where(Certificate.state.in_(IN_FORCE))
        .group_by(Certificate.resource_id)
    )
    return (
        sa.select(Certificate)
        .join(Resource, Resource.id == Certificate.resource_id)
        .where(
            departments_in(subject, "resource.renew", Resource.department_id),
            Resource.state.in_(LIVE_STATES),
            Certificate.id.in_(newest),
            Certificate.state == CertificateState.VALID,
            Certificate.not_after > now,
            Certificate.not_after <= now + within,
        )
    )


def _visible(subject: Subject) -> sa.Select[Any]:
    return (
        sa.select(Certificate)
        .join(Resource, Resource.id == Certificate.resource_id)
        .where(departments_in(subject, "certificate.view", Resource.department_id))
    )
