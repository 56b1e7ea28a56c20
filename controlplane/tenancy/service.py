"""Use cases of tenancy: who somebody is, signing in and out, tokens, the tree."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy.orm import Session

from controlplane import audit
from controlplane.audit import Actor
from controlplane.config import Settings
from controlplane.errors import NotFound, NotSignedIn
from controlplane.policy import Grant, Role, Subject
from controlplane.tenancy.models import (
    ApiToken,
    Department,
    Person,
    RoleGrant,
    SignInSession,
)

_HASHER = PasswordHasher()
#: Checked when the name is unknown, so that the answer takes as long as for a known one.
_NOBODY_HASH = _HASHER.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """Argon2id hash with the library's present parameters."""
    return _HASHER.hash(password)


def secret_hash(secret: str) -> str:
    """SHA-256 hex of a random 256-bit secret (no salt needed: it cannot be guessed)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def sign_in(
    session: Session,
    settings: Settings,
    login: str,
    password: str,
    *,
    address: str,
    now: datetime,
) -> str | None:
    """A new session's secret, or None when refused; both are audited.

    Returns None rather than raising: the count of failures must be committed. After
    `sign_in_tries` failures the account is locked for a while (GB/T 22239-2019 8.1.4.1 b).
    """
    person = session.scalars(
        sa.select(Person).where(Person.login == login).with_for_update(of=Person)
    ).first()
    locked = person is not None and person.locked_until is not None and person.locked_until > now
    matches = _matches(person.password_hash if person else _NOBODY_HASH, password)
    if person is None or not person.active or locked or not matches:
        _count_failure(session, settings, person, login, address, now, locked)
        return None
    person.failed_sign_ins, person.locked_until, person.last_sign_in_at = 0, None, now
    secret = secrets.token_urlsafe(32)
    session.add(
        SignInSession(
            secret_hash=secret_hash(secret),
            person_id=person.id,
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(hours=settings.session_max_hours),
        )
    )
    audit.record(
        session,
        Actor(person.id, person.name, address),
        "signed_in",
        at=now,
        object_type="person",
        object_id=str(person.id),
        department_id=person.department_id,
    )
    return secret


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _count_failure(
    session: Session,
    settings: Settings,
    person: Person | None,
    login: str,
    address: str,
    now: datetime,
    locked: bool,
) -> None:
    if person is not None and not locked:
        person.failed_sign_ins += 1
        if person.failed_sign_ins >= settings.sign_in_tries:
            person.failed_sign_ins = 0
            person.locked_until = now + timedelta(minutes=settings.sign_in_lock_minutes)
    audit.record(
        session,
        Actor(person.id if person else None, person.name if person else "", address),
        "sign_in_failed",
        at=now,
        object_type="person",
        object_id=str(person.id) if person else login[:64],
        locked=bool(person and person.locked_until),
    )


def identify_session(session: Session, settings: Settings, secret: str, now: datetime) -> Subject:
    """The person behind a browser's session secret. Errors: NotSignedIn."""
    row = session.scalars(
        sa.select(SignInSession).where(SignInSession.secret_hash == secret_hash(secret))
    ).first()
    idle = timedelta(minutes=settings.session_idle_minutes)
    if row is None or row.expires_at <= now or row.seen_at + idle <= now:
        raise NotSignedIn
    return subject_of(session, row.person_id)


def session_needs_touch(session: Session, secret: str, now: datetime) -> bool:
    """Whether `seen_at` is old enough to be written again: not at every page."""
    row = session.scalars(
        sa.select(SignInSession).where(SignInSession.secret_hash == secret_hash(secret))
    ).first()
    return row is not None and now - row.seen_at >= timedelta(minutes=1)


def touch_session(session: Session, secret: str, now: datetime) -> None:
    session.execute(
        sa.update(SignInSession)
        .where(SignInSession.secret_hash == secret_hash(secret))
        .values(seen_at=now)
    )


def sign_out(session: Session, secret: str) -> None:
    session.execute(
        sa.delete(SignInSession).where(SignInSession.secret_hash == secret_hash(secret))
    )


def identify_token(session: Session, secret: str, now: datetime) -> Subject:
    """The person behind a bearer token. Errors: NotSignedIn."""
    row = session.scalars(
        sa.select(ApiToken).where(ApiToken.secret_hash == secret_hash(secret))
    ).first()
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        raise NotSignedIn
    return subject_of(session, row.person_id)


def create_token(
    session: Session, subject: Subject, name: str, *, now: datetime, days: int = 90
) -> str:
    """A new token's secret, to be shown once."""
    secret = secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            secret_hash=secret_hash(secret),
            person_id=subject.person_id,
            name=name,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
    )
    return secret


def subject_of(session: Session, person_id: int) -> Subject:
    """Errors: NotSignedIn when the person is gone or not active."""
    person = session.get(Person, person_id)
    if person is None or not person.active:
        raise NotSignedIn
    return Subject(
        person_id=person.id,
        name=person.name,
        department_id=person.department_id,
        department_path=person.department.path,
        grants=tuple(_grant(g) for g in person.grants),
    )


def _grant(grant: RoleGrant) -> Grant:
    return Grant(
        role=Role(grant.role),
        department_path=grant.department.path if grant.department else None,
        office_id=grant.office_id,
    )


def get_department(session: Session, department_id: int) -> Department:
    department = session.get(Department, department_id)
    if department is None:
        raise NotFound
    return department


def place_in_tree(session: Session, department: Department) -> None:
    """Sets `path` from the parent's; call after the department has its id."""
    parent = session.get(Department, department.parent_id) if department.parent_id else None
    department.path = f"{parent.path if parent else '/'}{department.id}/"
    session.flush()
