"""Append-only audit events, written with the change and sealed into a hash chain after commit.

Writers only insert, so they never queue for one row; a single sealer (`seal_events`, run by a tick)
gives each event its place in the chain. An event edited or removed later no longer fits its seal,
and a seal removed breaks the chain (GB/T 22239-2019 8.1.4.3 c).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from controlplane.db import Base, BigId

GENESIS = "0" * 64


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, or the system itself (`person_id` None)."""

    person_id: int | None
    name: str
    address: str = ""


SYSTEM = Actor(None, "system")


class AuditEvent(Base):
    __tablename__ = "audit_event"
    __table_args__ = (sa.Index("ix_audit_event_object", "object_type", "object_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    actor_name: Mapped[str] = mapped_column(sa.String(80))
    address: Mapped[str] = mapped_column(sa.String(64), default="")
    event: Mapped[str] = mapped_column(sa.String(60))
    object_type: Mapped[str] = mapped_column(sa.String(40))
    object_id: Mapped[str] = mapped_column(sa.String(64))
    department_id: Mapped[int | None] = mapped_column(sa.ForeignKey("department.id"), index=True)
    data: Mapped[dict[str, Any]]


class AuditSeal(Base):
    """The place of an event in the chain: hash = SHA-256(previous hash, event's canonical JSON)."""

    __tablename__ = "audit_seal"
    position: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("audit_event.id"), unique=True)
    hash: Mapped[str] = mapped_column(sa.String(64))


def record(
    session: Session,
    actor: Actor,
    event: str,
    *,
    at: datetime,
    object_type: str,
    object_id: str,
    department_id: int | None = None,
    **data: Any,
) -> None:
    """Adds an event (named in the past tense) to the transaction of the change it tells of."""
    session.add(
        AuditEvent(
            at=at,
            actor_id=actor.person_id,
            actor_name=actor.name,
            address=actor.address,
            event=event,
            object_type=object_type,
            object_id=object_id,
            department_id=department_id,
            data=data,
        )
    )


def seal_events(session: Session, limit: int = 1000) -> int:
    """Seals up to `limit` events that have no seal yet, oldest id first; returns how many.

    Must run in one place at a time: the primary key on `position` refuses a second sealer.
    """
    last = session.scalars(
        sa.select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1)
    ).first()
    position, previous = (last.position, last.hash) if last else (0, GENESIS)
    sealed = sa.select(AuditSeal.event_id).where(AuditSeal.event_id == AuditEvent.id)
    events = session.scalars(
        sa.select(AuditEvent).where(~sealed.exists()).order_by(AuditEvent.id).limit(limit)
    ).all()
    for event in events:
        position += 1
        previous = chain_hash(previous, event)
        session.add(AuditSeal(position=position, event_id=event.id, hash=previous))
    session.flush()
    return len(events)


def chain_hash(previous: str, event: AuditEvent) -> str:
    """Hex SHA-256 of the previous hash and the event's content."""
    content = json.dumps(
        [
            event.id,
            event.at.isoformat(),
            event.actor_id,
            event.actor_name,
            event.address,
            event.event,
            event.object_type,
            event.object_id,
            event.department_id,
            event.data,
        ],
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()


def verify_chain(session: Session) -> tuple[int, int | None]:
    """Walks the whole chain: (seals that hold, position of the first that does not, or None)."""
    previous, good = GENESIS, 0
    rows = session.execute(
        sa.select(AuditSeal, AuditEvent)
        .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
        .order_by(AuditSeal.position)
        .execution_options(yield_per=500)
    )
    for seal, event in rows:
        expected = chain_hash(previous, event) if event is not None else ""
        if seal.position != good + 1 or seal.hash != expected:
            return good, good + 1
        previous, good = seal.hash, good + 1
    return good, None
