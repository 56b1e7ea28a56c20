"""What a decision does, and that a no states its reason."""

from __future__ import annotations

import pytest

from controlplane.approval.rules import (
    OPINION_MAX_LENGTH,
    STEP_STATE_OF,
    Decision,
    Outcome,
    check_opinion,
    outcome_of,
)
from controlplane.errors import InvalidInput


@pytest.mark.parametrize(
    ("decision", "later_steps", "outcome"),
    [
        (Decision.AGREE, 2, Outcome.NEXT_STEP),
        (Decision.AGREE, 1, Outcome.NEXT_STEP),
        (Decision.AGREE, 0, Outcome.APPROVED),
        (Decision.RETURN, 0, Outcome.RETURNED),
        (Decision.RETURN, 3, Outcome.RETURNED),
        (Decision.REFUSE, 0, Outcome.REFUSED),
        (Decision.REFUSE, 3, Outcome.REFUSED),
    ],
)
def test_the_outcome_of_a_decision(decision: Decision, later_steps: int, outcome: Outcome) -> None:
    assert outcome_of(decision, later_steps) is outcome


def test_every_decision_leaves_its_step_in_a_state_of_its_own() -> None:
    assert set(STEP_STATE_OF) == set(Decision)
    assert len(set(STEP_STATE_OF.values())) == len(Decision)


@pytest.mark.parametrize("opinion", ["", "   ", "\n\t"])
def test_agreeing_needs_no_words_and_a_no_does(opinion: str) -> None:
    check_opinion(Decision.AGREE, opinion)
    for decision in (Decision.RETURN, Decision.REFUSE):
        with pytest.raises(InvalidInput) as refused:
            check_opinion(decision, opinion)
        assert [(f.code, f.field) for f in refused.value.faults] == [
            ("opinion_required", "opinion")
        ]


@pytest.mark.parametrize("decision", list(Decision))
def test_an_opinion_has_a_greatest_length(decision: Decision) -> None:
    check_opinion(decision, "理" * OPINION_MAX_LENGTH)
    with pytest.raises(InvalidInput) as refused:
        check_opinion(decision, "理" * (OPINION_MAX_LENGTH + 1))
    fault = refused.value.faults[0]
    assert fault.code == "field_too_long"
    assert fault.params == {"limit": OPINION_MAX_LENGTH, "length": OPINION_MAX_LENGTH + 1}
