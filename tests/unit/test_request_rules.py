"""What moves a request from one state to the next, and how its number is written."""

from __future__ import annotations

import pytest

from controlplane.errors import StateConflict
from controlplane.service_requests.rules import (
    OPEN_STATES,
    TRANSITIONS,
    RequestState,
    next_state,
    request_number,
)

#: Every move there is; whatever is not here is refused.
MOVES = {
    ("draft", "submit"): "in_approval",
    ("draft", "withdraw"): "withdrawn",
    ("returned", "submit"): "in_approval",
    ("returned", "withdraw"): "withdrawn",
    ("in_approval", "return"): "returned",
    ("in_approval", "refuse"): "refused",
    ("in_approval", "withdraw"): "withdrawn",
    ("in_approval", "approve"): "delivering",
    ("delivering", "deliver"): "fulfilled",
    ("delivering", "fail"): "failed",
}


@pytest.mark.parametrize("event", sorted(TRANSITIONS))
@pytest.mark.parametrize("state", list(RequestState))
def test_only_the_moves_of_the_table_are_made(state: RequestState, event: str) -> None:
    target = MOVES.get((state.value, event))
    if target is None:
        with pytest.raises(StateConflict) as refused:
            next_state(state, event)
        assert refused.value.params == {"state": state}
    else:
        assert next_state(state.value, event) == target


def test_nothing_leaves_a_state_that_is_not_open() -> None:
    closed = set(RequestState) - set(OPEN_STATES)
    assert closed == {"fulfilled", "refused", "withdrawn", "failed"}
    assert not {state for state, _ in MOVES} & {s.value for s in closed}


def test_every_state_is_reached_from_a_draft() -> None:
    reached = {"draft"}
    for _ in RequestState:
        reached |= {target for (state, _), target in MOVES.items() if state in reached}
    assert reached == {s.value for s in RequestState}


@pytest.mark.parametrize(
    ("year", "ordinal", "number"),
    [(2026, 1, "SQ-2026-000001"), (2027, 999_999, "SQ-2027-999999")],
)
def test_a_number_names_the_year(year: int, ordinal: int, number: str) -> None:
    assert request_number(year, ordinal) == number
