"""A request's story as its page tells it: stepper, what happens next, timeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext, ngettext

from controlplane.approval.models import ApprovalStep
from controlplane.provisioning.models import JobStep
from controlplane.reports.requests import RequestStory
from ui import filters
from ui.preferences import current_language
from ui.presentation import name_of, now


@dataclass(frozen=True)
class StepperStep:
    """One stop of the stepper; `mark` is done, now, stopped or later."""

    name: str
    mark: str
    note: str = ""


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened."""

    tone: str
    what: str
    at: datetime | None
    who: str = ""
    note: str = ""
    said: str = ""
    rank: int = 1  # of what happened in the same second, the later has the higher


@dataclass(frozen=True)
class ShownStep:
    """A step of a job for the page: seconds since the run began, and how long it took."""

    name: str
    state: str
    offset_seconds: float
    seconds: float | None


def stepper(story: RequestStory) -> list[StepperStep]:
    """申请 → 审批 → 准入 → 交付 → 计量."""
    return [
        _asked(story),
        _approved(story),
        _admitted(story),
        _delivered(story),
        _metered(story),
    ]


def _asked(story: RequestStory) -> StepperStep:
    request = story.request
    if request.submitted_at is None:
        mark = "stopped" if request.state == "withdrawn" else "now"
        return StepperStep(gettext("申请"), mark, gettext("尚未提交"))
    note = f"{filters.local_time(request.submitted_at, now())} {request.applicant.name}"
    return StepperStep(gettext("申请"), "done", note)


def _approved(story: RequestStory) -> StepperStep:
    request, name = story.request, gettext("审批")
    time = filters.local_time(request.decided_at, now()) if request.decided_at else ""
    if request.state == "in_approval":
        pending = story.pending_step
        note = gettext("%(office)s审核中", office=name_of(pending.office)) if pending else ""
        return StepperStep(name, "now", note)
    if request.state in ("returned", "refused", "withdrawn"):
        words = {
            "returned": gettext("退回补正"),
            "refused": gettext("不予同意"),
            "withdrawn": gettext("已撤回"),
        }
        mark = "stopped" if request.submitted_at else "later"
        return StepperStep(name, mark, f"{time} {words[request.state]}".strip())
    if request.decided_at is None:
        return StepperStep(name, "later")
    agreed = sum(step.state == "agreed" for step in _last_round(story.steps))
    note = ngettext("%(num)s 家同意", "%(num)s 家同意", agreed) if agreed else gettext("无需审批")
    return StepperStep(name, "done", f"{time} {note}")


def _admitted(story: RequestStory) -> StepperStep:
    request, name = story.request, gettext("准入")
    if request.state == "in_approval":
        return StepperStep(name, "later", gettext("配额已预占"))
    if request.state in ("delivering", "fulfilled"):
        time = filters.local_time(request.decided_at, now())
        return StepperStep(name, "done", f"{time} {gettext('已占用')}")
    if request.state == "failed":
        return StepperStep(name, "done", gettext("已释放"))
    return StepperStep(name, "later")


def _delivered(story: RequestStory) -> StepperStep:
    request, name = story.request, gettext("交付")
    if request.state == "delivering":
        steps = story.job_steps
        running = next((i for i, step in enumerate(steps, 1) if step.ended_ms is None), len(steps))
        note = gettext("第 %(step)s 步", step=running) if steps else gettext("排队中")
        return StepperStep(name, "now", f"{gettext('进行中')} · {note}")
    if request.state == "fulfilled":
        return StepperStep(name, "done", filters.local_time(request.closed_at, now()))
    if request.state == "failed":
        return StepperStep(name, "stopped", gettext("交付失败"))
    return StepperStep(name, "later")


def _metered(story: RequestStory) -> StepperStep:
    name = gettext("计量")
    if story.request.state == "fulfilled":
        time = filters.local_time(story.request.closed_at, now())
        return StepperStep(name, "done", gettext("自 %(time)s 起", time=time))
    return StepperStep(name, "later", gettext("自交付起"))


def _last_round(steps: list[ApprovalStep]) -> list[ApprovalStep]:
    last = max((step.round for step in steps), default=0)
    return [step for step in steps if step.round == last]


def next_sentence(story: RequestStory, usually_seconds: int) -> tuple[str, str, str]:
    """What happens next and by whom: (tone, icon, sentence)."""
    request = story.request
    if request.state == "draft":
        return "amber", "pencil", gettext("这是草稿，只有本部门能看到。补全后提交，配额才会预占。")
    if request.state == "in_approval":
        pending = story.pending_step
        office = name_of(pending.office) if pending else ""
        later = sum(step.state == "waiting" for step in story.steps)
        sentence = gettext("现由%(office)s审核。", office=office)
        if later:
            sentence += ngettext("之后还有 %(num)s 个环节。", "之后还有 %(num)s 个环节。", later)
        return "blue", "hourglass-high", sentence + gettext("配额已预占，批准后自动开通。")
    if request.state == "returned":
        return "amber", "arrow-back-up", gettext("需要补正：%(reason)s", reason=request.reason)
    if request.state == "delivering":
        return "blue", "info-circle", _delivering_sentence(story, usually_seconds)
    if request.state == "fulfilled":
        return "green", "circle-check", gettext("已办结，资源可以使用，自交付时起计量。")
    if request.state == "failed":
        sentence = gettext(
            "交付失败，云上已做的部分会清理，清理完即退还配额。平台工程师已收到提醒。"
        )
        return "red", "alert-triangle", sentence
    if request.state == "refused":
        reason = gettext("不予同意：%(reason)s", reason=request.reason)
        return "red", "circle-x", f"{reason} {gettext('预占的配额已退还。')}"
    return "grey", "circle-minus", gettext("已撤回，预占的配额已退还。")


def _delivering_sentence(story: RequestStory, usually_seconds: int) -> str:
    job = story.current_job
    names = (s.name for s in story.job_steps if s.ended_ms is None)
    running = filters.step_name(next(names, ""), current_language())
    sentence = (
        gettext("正在开通：%(step)s。", step=running) if running else gettext("正在排队开通。")
    )
    started = job.started_at if job else None
    elapsed = (now() - started).total_seconds() if started else 0.0
    left = max(usually_seconds - elapsed, 0)
    if left >= 1:
        time = filters.duration(round(left), current_language())
        sentence += gettext("通常还需 %(time)s。", time=time)
    return sentence + gettext("可以离开本页。")


def shown_steps(steps: list[JobStep]) -> tuple[list[ShownStep], float]:
    """A job's steps for the page, and the length of the whole run in seconds."""
    if not steps:
        return [], 0.0
    first = steps[0].started_ms
    present_ms = int(now().timestamp() * 1000)
    shown = [
        ShownStep(
            filters.step_name(step.name, current_language()),
            step.state,
            (step.started_ms - first) / 1000,
            max((step.ended_ms or present_ms) - step.started_ms, 0) / 1000,
        )
        for step in steps
    ]
    return shown, max(s.offset_seconds + (s.seconds or 0) for s in shown)


def timeline(story: RequestStory) -> list[TimelineEntry]:
    """What happened, newest first."""
    entries = [*_decisions(story), *_events(story), *_deliveries(story)]
    # Each list is in the order of events; a stable sort keeps that within the same second.
    entries.sort(key=lambda entry: (entry.at or now(), entry.rank))
    return entries[::-1]


def _decisions(story: RequestStory) -> Iterator[TimelineEntry]:
    words = {
        "agreed": (gettext("同意"), "green"),
        "returned": (gettext("退回补正"), "amber"),
        "refused": (gettext("不予同意"), "red"),
    }
    for step in story.steps:
        if step.decided_at is None or step.state not in words:
            continue
        word, tone = words[step.state]
        yield TimelineEntry(
            tone=tone,
            what=f"{name_of(step.office)} {word}",
            at=step.decided_at,
            who=step.decided_by.name if step.decided_by else "",
            note=_time_used(step),
            said=step.opinion,
        )


def _time_used(step: ApprovalStep) -> str:
    if step.started_at is None or step.decided_at is None:
        return ""
    used = (step.decided_at - step.started_at).total_seconds()
    text = gettext("用时 %(time)s", time=filters.duration(round(used), current_language()))
    if step.time_limit_working_days:
        limit = gettext("限 %(days)s 个工作日", days=step.time_limit_working_days)
        text = f"{text} / {limit}"
    return text


def _events(story: RequestStory) -> Iterator[TimelineEntry]:
    words: dict[str, tuple[str, str]] = {
        "request_submitted": (gettext("提交，已预占配额"), "green"),
        "request_withdrawn": (gettext("撤回，配额已退还"), ""),
    }
    for event in story.events:
        if event.event in words:
            what, tone = words[event.event]
            said = str(event.data.get("reason", "") or "")
            rank = 0 if event.event == "request_submitted" else 3
            yield TimelineEntry(tone, what, event.at, event.actor_name, said=said, rank=rank)


def _deliveries(story: RequestStory) -> Iterator[TimelineEntry]:
    request, system = story.request, gettext("系统")
    for job in story.jobs:
        if job.started_at and not job.payload.get("cleanup"):
            number = gettext("作业 %(number)s", number=job.number)
            yield TimelineEntry("blue", gettext("开始开通"), job.started_at, system, number, rank=2)
    if request.state == "fulfilled" and request.closed_at:
        what = gettext("交付完成，开始计量")
        yield TimelineEntry("green", what, request.closed_at, system, rank=3)
    if request.state == "failed" and request.closed_at:
        what = gettext("交付失败")
        said = first_line(request.reason)
        yield TimelineEntry("red", what, request.closed_at, system, said=said, rank=3)


def first_line(text: Any) -> str:
    """The first line of a long error, for a place that has room for one."""
    return str(text or "").strip().partition("\n")[0][:200]
