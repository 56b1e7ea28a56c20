"""Use cases of approval: starting a round of steps, deciding one, dropping the rest."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.approval.models import ApprovalChain, ApprovalStep
from controlplane.approval.rules import (
    STEP_STATE_OF,
    Decision,
    Outcome,
    StepState,
    check_opinion,
    outcome_of,
)
from controlplane.errors import ConfigurationMissing, StateConflict
from controlplane.tenancy.models import Office


def start_round(session: Session, request_id: int, chain_code: str, now: datetime) -> None:
    """Makes the chain's steps for a request, the first one pending. A return starts a new round."""
    chain = session.get(ApprovalChain, chain_code)
    if chain is None:
        raise ConfigurationMissing(what=f"approval chain {chain_code}")
    offices = {
        office.code: office
        for office in session.scalars(
            sa.select(Office).where(Office.code.in_([s["office"] for s in chain.steps]))
        )
    }
    last_round = session.scalar(
        sa.select(sa.func.max(ApprovalStep.round)).where(ApprovalStep.request_id == request_id)
    )
    for ordinal, step in enumerate(chain.steps, start=1):
        if step["office"] not in offices:
            raise ConfigurationMissing(what=f"office {step['office']}")
        session.add(
            ApprovalStep(
                request_id=request_id,
                round=(last_round or 0) + 1,
                ordinal=ordinal,
                office_id=offices[step["office"]].id,
                name_zh=step["name"]["zh"],
                name_en=step["name"]["en"],
                time_limit_working_days=step.get("time_limit_working_days"),
                state=StepState.PENDING if ordinal == 1 else StepState.WAITING,
                started_at=now if ordinal == 1 else None,
            )
        )
    session.flush()


def pending_step(session: Session, request_id: int) -> ApprovalStep | None:
    """The step whose office has its turn now."""
    return session.scalars(
        sa.select(ApprovalStep).where(
            ApprovalStep.request_id == request_id, ApprovalStep.state == StepState.PENDING
        )
    ).first()


def decide_step(
    session: Session,
    step: ApprovalStep,
    decision: Decision,
    opinion: str,
    *,
    person_id: int,
    now: datetime,
) -> Outcome:
    """Records the decision and starts the next step or drops the rest.

    Of two approvers at once one wins. Errors: InvalidInput (no reason), StateConflict.
    """
    check_opinion(decision, opinion)
    decided = session.execute(
        sa.update(ApprovalStep)
        .where(ApprovalStep.id == step.id, ApprovalStep.state == StepState.PENDING)
        .values(
            state=STEP_STATE_OF[decision],
            decided_at=now,
            decided_by_id=person_id,
            opinion=opinion.strip(),
        )
        .returning(ApprovalStep.id)
    ).scalar()
    if decided is None:
        raise StateConflict(state=step.state)
    later = session.scalars(
        sa.select(ApprovalStep)
        .where(
            ApprovalStep.request_id == step.request_id,
            ApprovalStep.round == step.round,
            ApprovalStep.ordinal > step.ordinal,
        )
        .order_by(ApprovalStep.ordinal)
    ).all()
    outcome = outcome_of(decision, len(later))
    if outcome is Outcome.NEXT_STEP:
        later[0].state, later[0].started_at = StepState.PENDING, now
    else:
        for other in later:
            other.state = StepState.DROPPED
    session.flush()
    return outcome


def drop_steps(session: Session, request_id: int) -> None:
    """Nobody needs to decide any more: the request was withdrawn."""
    session.execute(
        sa.update(ApprovalStep)
        .where(
            ApprovalStep.request_id == request_id,
            ApprovalStep.state.in_((StepState.PENDING, StepState.WAITING)),
        )
        .values(state=StepState.DROPPED)
    )


def office_ids_of(session: Session, request_id: int) -> set[int]:
    """Offices that take part in a request, in any round."""
    return set(
        session.scalars(
            sa.select(ApprovalStep.office_id).where(ApprovalStep.request_id == request_id)
        )
    )
