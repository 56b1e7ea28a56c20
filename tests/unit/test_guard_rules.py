"""What needs a second person, and who may decide, as one table."""

from __future__ import annotations

import pytest

from controlplane.approval.rules import Decision, StepState
from controlplane.provisioning.guards import (
    GuardedAct,
    name_faults,
    needs_name,
    needs_second_person,
    refusal_of,
    state_after,
)

AGREE, REFUSE, RETURN = Decision.AGREE, Decision.REFUSE, Decision.RETURN


@pytest.mark.parametrize(
    ("act", "typed", "unprotected", "protected"),
    [
        (GuardedAct.RETIRE, True, False, True),
        (GuardedAct.RETIRE_NOW, True, False, True),
        (GuardedAct.UNPROTECT, False, False, True),
    ],
)
def test_what_each_act_needs(
    act: GuardedAct, typed: bool, unprotected: bool, protected: bool
) -> None:
    assert needs_name(act) is typed
    assert needs_second_person(act, is_protected=False) is unprotected
    assert needs_second_person(act, is_protected=True) is protected


@pytest.mark.parametrize(
    ("decision", "state", "is_asker", "code"),
    [
        (AGREE, StepState.PENDING, False, None),
        (AGREE, StepState.PENDING, True, "own_ask"),
        (REFUSE, StepState.PENDING, False, None),
        (REFUSE, StepState.PENDING, True, None),
        (RETURN, StepState.PENDING, False, "invalid_input"),
        (RETURN, StepState.PENDING, True, "invalid_input"),
        (AGREE, StepState.AGREED, False, "state_conflict"),
        (AGREE, StepState.AGREED, True, "state_conflict"),
        (REFUSE, StepState.REFUSED, False, "state_conflict"),
        (AGREE, StepState.DROPPED, False, "state_conflict"),
    ],
)
def test_who_may_decide_what(
    decision: Decision, state: StepState, is_asker: bool, code: str | None
) -> None:
    refusal = refusal_of(decision, state, is_asker=is_asker)
    assert (refusal.code if refusal else None) == code


@pytest.mark.parametrize(
    ("decision", "is_asker", "state"),
    [
        (AGREE, False, StepState.AGREED),
        (REFUSE, False, StepState.REFUSED),
        (REFUSE, True, StepState.DROPPED),
    ],
)
def test_what_becomes_of_an_ask(decision: Decision, is_asker: bool, state: StepState) -> None:
    assert state_after(decision, is_asker=is_asker) is state


@pytest.mark.parametrize(
    ("typed", "is_right"),
    [("库", True), (" 库 ", True), ("", False), ("库2", False), ("KU", False)],
)
def test_the_name_is_typed_exactly(typed: str, is_right: bool) -> None:
    assert (name_faults(typed, "库") == []) is is_right
