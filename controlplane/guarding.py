"""What waits for a second person: an ask is a row, and of two that decide on it one wins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import audit, policy
from controlplane.approval.rules import Decision, StepState, check_opinion
from controlplane.audit import Actor
from controlplane.errors import Forbidden, NotFound, SecondPersonAwaited, StateConflict
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.guards import (
    GuardedAct,
    lapsed_since,
    refusal_of,
    state_after,
)
from controlplane.provisioning.models import Resource, TwoPersonAsk


def actor_of(subject: Subject) -> Actor:
    return Actor(subject.person_id, subject.name)


def lock_for(session: Session, subject: Subject, resource_id: str, action: str) -> Resource:
    """The resource, locked, for what `subject` wants to do. Errors: NotFound, Forbidden."""
    resource = provisioning.lock_resource(session, resource_id)
    path = resource.department.path
    if not policy.is_allowed(subject, "resource.view", department_path=path):
        raise NotFound
    if not policy.is_allowed(subject, action, department_path=path):
        raise Forbidden
    return resource


def pending_ask(session: Session, resource_id: str) -> TwoPersonAsk | None:
    return session.scalars(
        sa.select(TwoPersonAsk).where(
            TwoPersonAsk.resource_id == resource_id, TwoPersonAsk.state == StepState.PENDING
        )
    ).first()


def ask_second_person(
    session: Session,
    subject: Subject,
    resource: Resource,
    act: GuardedAct,
    now: datetime,
    detail: Mapping[str, str] | None = None,
) -> int:
    """The id of the ask; `resource` is locked. The same ask of the same person again is the same.

    Errors: SecondPersonAwaited (another one waits).
    """
    waiting = pending_ask(session, resource.id)
    if waiting is not None:
        asked = (waiting.act, waiting.asked_by_id, waiting.detail)
        if asked == (act, subject.person_id, dict(detail or {})):
            return waiting.id
        raise SecondPersonAwaited(state=resource.state)
    ask = TwoPersonAsk(
        resource_id=resource.id,
        act=act,
        state=StepState.PENDING,
        asked_by_id=subject.person_id,
        asked_at=now,
        detail=dict(detail or {}),
    )
    session.add(ask)
    session.flush()
    provisioning.audit_resource(
        session, actor_of(subject), "second_person_asked", resource, now, act=act, **_told(ask)
    )
    return ask.id


def _told(ask: TwoPersonAsk) -> dict[str, str]:
    """What its event keeps of the detail, in numbers that people read."""
    return {key: str(ask.detail[key]) for key in ("backup", "other") if key in ask.detail}


def decide_ask(
    session: Session,
    subject: Subject,
    resource: Resource,
    ask_id: int,
    decision: Decision,
    opinion: str,
    now: datetime,
) -> TwoPersonAsk | None:
    """Records the decision; the ask that is to be carried out now, None where it is not.

    Errors: NotFound, StateConflict (decided already), OwnAsk, InvalidInput (no reason).
    """
    ask = session.get(TwoPersonAsk, ask_id)
    if ask is None or ask.resource_id != resource.id:
        raise NotFound
    is_asker = ask.asked_by_id == subject.person_id
    refusal = refusal_of(decision, ask.state, is_asker=is_asker)
    if refusal is not None:
        raise refusal
    if not is_asker:
        check_opinion(decision, opinion)
    state = state_after(decision, is_asker=is_asker)
    decided = session.execute(
        sa.update(TwoPersonAsk)
        .where(TwoPersonAsk.id == ask.id, TwoPersonAsk.state == StepState.PENDING)
        .values(
            state=state,
            decided_by_id=subject.person_id,
            decided_at=now,
            opinion=opinion.strip()[:500],
        )
        .returning(TwoPersonAsk.id)
    ).scalar()
    if decided is None:
        raise StateConflict(state=ask.state)
    provisioning.audit_resource(
        session,
        actor_of(subject),
        "second_person_decided",
        resource,
        now,
        act=ask.act,
        decision=decision,
        opinion=opinion.strip()[:500],
    )
    return ask if state is StepState.AGREED else None


def lapse_asks(session: Session, now: datetime, days: int) -> int:
    """Drops what has waited longer for a second person; returns how many."""
    rows = session.scalars(
        sa.select(TwoPersonAsk)
        .where(
            TwoPersonAsk.state == StepState.PENDING,
            TwoPersonAsk.asked_at <= lapsed_since(now, days),
        )
        .order_by(TwoPersonAsk.id)
        .limit(100)
        .with_for_update(of=TwoPersonAsk, skip_locked=True)
    ).all()
    for ask in rows:
        ask.state, ask.decided_at = StepState.DROPPED, now
        provisioning.audit_resource(
            session, audit.SYSTEM, "second_person_lapsed", ask.resource, now, act=ask.act
        )
    session.flush()
    return len(rows)
