"""Which acts on a resource need its name typed or a second person, and who that may be."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from controlplane.approval.rules import Decision, StepState
from controlplane.errors import DomainError, Fault, InvalidInput, OwnAsk, StateConflict


class GuardedAct(StrEnum):
    """What must not happen by accident."""

    RETIRE = "retire"  # 退订: stops, is destroyed after a grace period
    RETIRE_NOW = "retire_now"  # 立即销毁
    UNPROTECT = "unprotect"  # 解除保护
    RESTORE = "restore"  # 原地恢复: what is there now gives way to a backup
    EXCHANGE = "exchange"  # 互换数据 with another resource


def needs_name(act: GuardedAct) -> bool:
    """Whether the resource's name is to be typed: by whoever asks, and by the second person."""
    return act is not GuardedAct.UNPROTECT


def needs_second_person(act: GuardedAct, is_protected: bool) -> bool:
    """双人复核. Taking off a protection that is not there needs nobody: it cannot be asked."""
    return is_protected and act in GuardedAct


def name_faults(typed: str, name: str) -> list[Fault]:
    return [] if typed.strip() == name else [Fault("confirmation_differs", "confirm_name")]


def lapses_at(asked_at: datetime, days: int) -> datetime:
    """When an ask that nobody has decided is dropped."""
    return asked_at + timedelta(days=days)


def lapsed_since(now: datetime, days: int) -> datetime:
    """Asks made up to this moment have waited too long: whoever agreed now might not know why."""
    return now - timedelta(days=days)


def refusal_of(decision: Decision, state: str, *, is_asker: bool) -> DomainError | None:
    """Why a person may not decide so on an ask; None: they may.

    Whoever asked may think better of it, never agree with themselves; nothing is sent back.
    """
    if state != StepState.PENDING:
        return StateConflict(state=state)
    if decision is Decision.RETURN:
        return InvalidInput([Fault("field_choice", "decision")])
    if decision is Decision.AGREE and is_asker:
        return OwnAsk()
    return None


def state_after(decision: Decision, *, is_asker: bool) -> StepState:
    """What becomes of an ask; one that its own asker refuses is dropped."""
    if decision is Decision.AGREE:
        return StepState.AGREED
    return StepState.DROPPED if is_asker else StepState.REFUSED
