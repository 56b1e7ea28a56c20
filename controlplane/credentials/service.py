"""Use cases of secrets: drawn, handed to a run, shown, rotated, forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.catalogue.services import Action
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.models import Credential
from controlplane.credentials.rules import CredentialState, account_secret, draw_secret, is_of

Secrets = dict[str, str]


def draw_missing(
    session: Session, keyring: Keyring, resource_id: str, names: Iterable[str], now: datetime
) -> None:
    """A secret for every name that has none yet; called in the transaction of the order, so that
    every try of its playbook sets the same."""
    there = {row.name for row in _rows(session, resource_id, CredentialState.CURRENT)}
    for name in names:
        if name not in there:
            _add(session, keyring, resource_id, name, CredentialState.CURRENT, now)
    session.flush()


def draw_next(
    session: Session, keyring: Keyring, resource_id: str, names: Iterable[str], now: datetime
) -> None:
    """New secrets for a rotation; those of one that failed before are drawn anew."""
    wanted = set(names)
    for row in _rows(session, resource_id, CredentialState.NEXT):
        if row.name in wanted:
            session.delete(row)
    session.flush()
    for name in sorted(wanted):
        _add(session, keyring, resource_id, name, CredentialState.NEXT, now)
    session.flush()


def keep(
    session: Session,
    keyring: Keyring,
    resource_id: str,
    secrets: Mapping[str, str],
    state: CredentialState,
    now: datetime,
) -> None:
    """Secrets that the cloud has drawn, in the place of those of the same name and state."""
    for row in _rows(session, resource_id, state):
        if row.name in secrets:
            session.delete(row)
    session.flush()
    for name, value in sorted(secrets.items()):
        _add(session, keyring, resource_id, name, state, now, value)
    session.flush()


def open_all(session: Session, keyring: Keyring, resource_id: str) -> dict[str, Secrets]:
    """Every secret of a resource, by state and name. Errors: ConfigurationMissing."""
    opened: dict[str, Secrets] = {}
    for row in session.scalars(sa.select(Credential).where(Credential.resource_id == resource_id)):
        value = keyring.open(resource_id, row.name, row.sealed)
        opened.setdefault(row.state, {})[row.name] = value
    return opened


def open_one(
    session: Session, keyring: Keyring, resource_ids: Iterable[str], name: str
) -> dict[str, str]:
    """The secret of that name which is in force, by resource. Errors: ConfigurationMissing."""
    rows = session.scalars(
        sa.select(Credential).where(
            Credential.resource_id.in_(list(resource_ids)),
            Credential.name == name,
            Credential.state == CredentialState.CURRENT,
        )
    )
    return {row.resource_id: keyring.open(row.resource_id, name, row.sealed) for row in rows}


def show(
    session: Session, keyring: Keyring, resource_id: str, now: datetime, account: str = ""
) -> Secrets:
    """The secrets of `account` that are in force; marks them as shown. Errors:
    ConfigurationMissing."""
    shown: Secrets = {}
    for row in _of_account(session, resource_id, account):
        shown[row.name] = keyring.open(resource_id, row.name, row.sealed)
        row.shown_at = row.shown_at or now
    session.flush()
    return shown


def was_shown(session: Session, resource_id: str, account: str = "") -> bool:
    return any(row.shown_at for row in _of_account(session, resource_id, account))


def _of_account(session: Session, resource_id: str, account: str) -> list[Credential]:
    rows = _rows(session, resource_id, CredentialState.CURRENT)
    return [row for row in rows if is_of(row.name, account)]


def promote(session: Session, resource_id: str, now: datetime, grace: timedelta) -> datetime:
    """The rotation is through: what was drawn for it is in force, what was in force is valid until
    the time returned."""
    valid_until = now + grace
    drawn = _rows(session, resource_id, CredentialState.NEXT)
    names = {row.name for row in drawn}
    for state in (CredentialState.PREVIOUS, CredentialState.CURRENT):
        for row in _rows(session, resource_id, state):
            if row.name not in names:
                continue
            if state is CredentialState.PREVIOUS:
                session.delete(row)
            else:
                row.state, row.valid_until = CredentialState.PREVIOUS, valid_until
        session.flush()
    for row in drawn:
        row.state = CredentialState.CURRENT
    session.flush()
    return valid_until


def keep_accounts(
    session: Session, resource_id: str, action: Action, inputs: Mapping[str, str]
) -> None:
    """An action on a further account is through: what was drawn for it is in force, or it is gone
    with its secrets."""
    if action.draws_for:
        _settle(session, resource_id, account_secret(inputs[action.draws_for]))
    if action.drops_for:
        name = account_secret(inputs[action.drops_for])
        session.execute(
            sa.delete(Credential).where(
                Credential.resource_id == resource_id, Credential.name == name
            )
        )


def _settle(session: Session, resource_id: str, name: str) -> None:
    """What was in force before is forgotten: there is no time in which both are valid."""
    for row in _rows(session, resource_id, CredentialState.CURRENT):
        if row.name == name:
            session.delete(row)
    session.flush()
    for row in _rows(session, resource_id, CredentialState.NEXT):
        if row.name == name:
            row.state = CredentialState.CURRENT
    session.flush()


def past_grace(session: Session, now: datetime, limit: int = 50) -> list[str]:
    """Resources with secrets whose grace time is over."""
    return list(
        session.scalars(
            sa.select(Credential.resource_id)
            .where(Credential.state == CredentialState.PREVIOUS, Credential.valid_until <= now)
            .distinct()
            .order_by(Credential.resource_id)
            .limit(limit)
        )
    )


def drop(session: Session, resource_id: str, state: CredentialState) -> None:
    """Forgets secrets of a state: a rotation that failed, or what is valid no more."""
    session.execute(
        sa.delete(Credential).where(
            Credential.resource_id == resource_id, Credential.state == state
        )
    )


def forget(session: Session, resource_id: str) -> None:
    """The resource is gone, and so are its secrets."""
    session.execute(sa.delete(Credential).where(Credential.resource_id == resource_id))


def reseal(session: Session, keyring: Keyring, limit: int = 200) -> int:
    """Seals up to `limit` rows by the newest key that are not yet; returns how many there were."""
    done = 0
    for row in session.scalars(sa.select(Credential).order_by(Credential.id)):
        if keyring.is_sealed_by_newest(row.sealed):
            continue
        value = keyring.open(row.resource_id, row.name, row.sealed)
        row.sealed = keyring.seal(row.resource_id, row.name, value)
        done += 1
        if done == limit:
            break
    session.flush()
    return done


def _rows(session: Session, resource_id: str, state: CredentialState) -> list[Credential]:
    return list(
        session.scalars(
            sa.select(Credential)
            .where(Credential.resource_id == resource_id, Credential.state == state)
            .order_by(Credential.name)
        )
    )


def _add(
    session: Session,
    keyring: Keyring,
    resource_id: str,
    name: str,
    state: CredentialState,
    now: datetime,
    value: str = "",
) -> None:
    sealed = keyring.seal(resource_id, name, value or draw_secret())
    session.add(
        Credential(resource_id=resource_id, name=name, state=state, sealed=sealed, created_at=now)
    )
