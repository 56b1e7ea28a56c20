"""A refusal in words: as `controlplane.messages` has it, a state in it named as pages name it."""

from __future__ import annotations

from controlplane import messages
from controlplane.errors import DomainError, InvalidInput
from ui.preferences import current_language
from ui.states import STATES


def refusal_text(error: DomainError) -> str:
    """The sentence of the refusal itself, without its faults."""
    language = current_language()
    if "state" not in error.params:
        return messages.text_of_error(error, language)
    params = {**error.params, "state": _state_word(str(error.params["state"]))}
    return messages.text_of(error.code, params, language)


def refusal_in_full(error: DomainError) -> str:
    """The refusal in one line: its faults where it has any, for they say all."""
    if isinstance(error, InvalidInput) and error.faults:
        faults = (messages.text_of_fault(fault, current_language()) for fault in error.faults)
        return "；".join(faults) if current_language() == "zh" else "; ".join(faults)
    return refusal_text(error)


def _state_word(code: str) -> str:
    """The word for a state of a request, a resource or a job; another code as it is."""
    for kind in ("request", "resource", "job"):
        if code in STATES[kind]:
            return str(STATES[kind][code].word)
    return code
