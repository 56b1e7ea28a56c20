"""The states of a service request and what moves it from one to the next."""

from __future__ import annotations

from enum import StrEnum

from controlplane.errors import StateConflict


class RequestState(StrEnum):
    DRAFT = "draft"  # 草稿
    IN_APPROVAL = "in_approval"  # 审批中
    RETURNED = "returned"  # 待补正
    DELIVERING = "delivering"  # 交付中
    FULFILLED = "fulfilled"  # 办结
    REFUSED = "refused"  # 不予同意
    WITHDRAWN = "withdrawn"  # 已撤回
    FAILED = "failed"  # 交付失败


_S = RequestState

#: event -> states it may come from -> state it leads to
TRANSITIONS: dict[str, tuple[frozenset[RequestState], RequestState]] = {
    "submit": (frozenset({_S.DRAFT, _S.RETURNED}), _S.IN_APPROVAL),
    "return": (frozenset({_S.IN_APPROVAL}), _S.RETURNED),
    "refuse": (frozenset({_S.IN_APPROVAL}), _S.REFUSED),
    "withdraw": (frozenset({_S.DRAFT, _S.IN_APPROVAL, _S.RETURNED}), _S.WITHDRAWN),
    "approve": (frozenset({_S.IN_APPROVAL}), _S.DELIVERING),
    "deliver": (frozenset({_S.DELIVERING}), _S.FULFILLED),
    "fail": (frozenset({_S.DELIVERING}), _S.FAILED),
}

#: States in which the request still waits for somebody or something.
OPEN_STATES = (_S.DRAFT, _S.IN_APPROVAL, _S.RETURNED, _S.DELIVERING)


def next_state(state: str, event: str) -> RequestState:
    """The state that `event` leads to. Errors: StateConflict when it may not come from `state`."""
    sources, target = TRANSITIONS[event]
    if state not in sources:
        raise StateConflict(state=state)
    return target


def request_number(year: int, ordinal: int) -> str:
    """申请单号, such as SQ-2026-000381 (申请 + year of Asia/Shanghai + running number)."""
    return f"SQ-{year}-{ordinal:06d}"
