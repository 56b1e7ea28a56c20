"""What a decision on one step does to the whole approval."""

from __future__ import annotations

from enum import StrEnum

from controlplane.errors import Fault, InvalidInput
from controlplane.text import holds_control_characters


class Decision(StrEnum):
    AGREE = "agree"  # 同意
    RETURN = "return"  # 退回补正
    REFUSE = "refuse"  # 不予同意


class StepState(StrEnum):
    WAITING = "waiting"  # an earlier step is not done
    PENDING = "pending"  # the office's turn
    AGREED = "agreed"
    RETURNED = "returned"
    REFUSED = "refused"
    DROPPED = "dropped"  # nobody needs to decide any more


class Outcome(StrEnum):
    """What becomes of the request after a decision."""

    NEXT_STEP = "next_step"
    APPROVED = "approved"
    RETURNED = "returned"
    REFUSED = "refused"


STEP_STATE_OF = {
    Decision.AGREE: StepState.AGREED,
    Decision.RETURN: StepState.RETURNED,
    Decision.REFUSE: StepState.REFUSED,
}

OPINION_MAX_LENGTH = 500


def outcome_of(decision: Decision, later_steps: int) -> Outcome:
    """`later_steps` is how many steps come after the one decided."""
    if decision is Decision.RETURN:
        return Outcome.RETURNED
    if decision is Decision.REFUSE:
        return Outcome.REFUSED
    return Outcome.NEXT_STEP if later_steps else Outcome.APPROVED


def check_opinion(decision: Decision, opinion: str) -> None:
    """A refusal or a return states its reason (不予受理须说明理由). Errors: InvalidInput."""
    if holds_control_characters(opinion, lines=True):
        raise InvalidInput([Fault("field_control_characters", "opinion")])
    if decision is not Decision.AGREE and not opinion.strip():
        raise InvalidInput([Fault("opinion_required", "opinion")])
    if len(opinion) > OPINION_MAX_LENGTH:
        raise InvalidInput(
            [
                Fault(
                    "field_too_long",
                    "opinion",
                    {"limit": OPINION_MAX_LENGTH, "length": len(opinion)},
                )
            ]
        )
