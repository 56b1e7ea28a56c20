"""Who of a campaign is next, what state it is in, and in which group each instance goes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class CampaignState(StrEnum):
    RUNNING = "running"  # 进行中
    STOPPED = "stopped"  # 已停下: by the first failure or a person; can go on
    FINISHED = "finished"  # 已完成
    CANCELLED = "cancelled"  # 已取消


OPEN = (CampaignState.RUNNING, CampaignState.STOPPED)


class MemberState(StrEnum):
    PENDING = "pending"  # 未开始
    RUNNING = "running"  # 升级中
    GOING_BACK = "going_back"  # 复原中
    DONE = "done"  # 已升级
    FAILED = "failed"  # 失败, 已复原
    SKIPPED = "skipped"  # 已跳过


IN_FLIGHT = (MemberState.RUNNING, MemberState.GOING_BACK)
SETTLED = (MemberState.DONE, MemberState.SKIPPED)
#: What stops a campaign.
WRONG = (MemberState.GOING_BACK, MemberState.FAILED)

AT_ONCE_MAX = 50
GROUPS_MAX = 50


@dataclass(frozen=True)
class Place:
    """A member as the order of a campaign sees it."""

    id: int
    group: int
    state: str


def next_member(members: Sequence[Place], at_once: int, not_now: Iterable[int] = ()) -> int | None:
    """Whose turn it is, None while it is nobody's.

    Groups go one after the other, members in the order given. Nobody begins once one has failed,
    nor while `at_once` are under way. `not_now` cannot begin yet: they are passed over and waited
    for.
    """
    if any(m.state in WRONG for m in members):
        return None
    if sum(m.state in IN_FLIGHT for m in members) >= at_once:
        return None
    unsettled = [m for m in members if m.state not in SETTLED]
    group = min((m.group for m in unsettled), default=0)
    waiting = set(not_now)
    ready = (
        m.id
        for m in unsettled
        if m.group == group and m.state == MemberState.PENDING and m.id not in waiting
    )
    return next(ready, None)


def state_after(states: Iterable[str]) -> CampaignState:
    """What becomes of a running campaign whose members are in these states."""
    seen = set(states)
    if seen & set(WRONG):
        return CampaignState.STOPPED
    return CampaignState.FINISHED if seen <= set(SETTLED) else CampaignState.RUNNING


@dataclass(frozen=True)
class Selector:
    """One group, as an operator writes it: `department:health`, `zone:office`, `plan:small`, or
    numbers of instances with commas between."""

    kind: str
    values: tuple[str, ...]


_KINDS = ("department", "zone", "plan")
_NUMBER = re.compile(r"R-\d{4}-\d{6}")


def selector_in(text: str) -> Selector | None:
    """None where the text is no selector."""
    kind, colon, value = text.strip().partition(":")
    if colon:
        return Selector(kind, (value.strip(),)) if kind in _KINDS and value.strip() else None
    numbers = tuple(part.strip() for part in text.split(","))
    return Selector("number", numbers) if all(map(_NUMBER.fullmatch, numbers)) else None


@dataclass(frozen=True)
class Traits:
    """By what an instance is selected; `departments` are the codes of its own and those above."""

    number: str
    departments: frozenset[str]
    zone: str
    plan: str


def is_selected(selector: Selector, traits: Traits) -> bool:
    of = {
        "number": traits.number in selector.values,
        "department": bool(traits.departments & set(selector.values)),
        "zone": traits.zone in selector.values,
        "plan": traits.plan in selector.values,
    }
    return of[selector.kind]


def group_of(selectors: Sequence[Selector], traits: Traits) -> int:
    """The first group that selects the instance, counted from 1; what none selects goes last."""
    found = (i for i, s in enumerate(selectors, start=1) if is_selected(s, traits))
    return next(found, len(selectors) + 1)
