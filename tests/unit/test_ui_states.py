"""Every state of the domain has its word, colour and icon."""

import pytest

from controlplane.approval.rules import StepState
from controlplane.provisioning.rules import JobState, ResourceState
from controlplane.service_requests.rules import RequestState
from ui.icons import ICONS
from ui.states import STATES


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("request", RequestState),
        ("resource", ResourceState),
        ("job", JobState),
        ("decision", StepState),
    ],
)
def test_every_state_is_shown(kind: str, codes: type[RequestState]) -> None:
    assert set(STATES[kind]) == {code.value for code in codes}


def test_icons_and_tones_are_known() -> None:
    for states in STATES.values():
        for state in states.values():
            assert state.icon in ICONS
            assert state.tone in {"blue", "green", "amber", "red", "grey"}
