"""What every state is called, its colour and its icon: a colour means one thing everywhere.

Blue: under way. Green: done, in good order. Amber: somebody has to act. Red: failed or refused.
Grey: at rest or ended.
"""

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _


@dataclass(frozen=True)
class State:
    """How one state is shown; `word` is a lazy string, `tone` one of the five colours."""

    word: Any
    tone: str
    icon: str
    turning: bool = False


STATES: dict[str, dict[str, State]] = {
    "request": {
        "draft": State(_("草稿"), "grey", "pencil"),
        "in_approval": State(_("审批中"), "blue", "hourglass-high"),
        "returned": State(_("待补正"), "amber", "arrow-back-up"),
        "delivering": State(_("交付中"), "blue", "loader-2", turning=True),
        "fulfilled": State(_("已办结"), "green", "circle-check"),
        "refused": State(_("不予同意"), "red", "circle-x"),
        "withdrawn": State(_("已撤回"), "grey", "circle-minus"),
        "failed": State(_("交付失败"), "red", "alert-triangle"),
    },
    "resource": {
        "building": State(_("交付中"), "blue", "loader-2", turning=True),
        "active": State(_("运行中"), "green", "circle-check"),
        "stopped": State(_("已停止"), "grey", "player-pause"),
        "changing": State(_("变更中"), "blue", "loader-2", turning=True),
        "retiring": State(_("待销毁"), "amber", "hourglass-high"),
        "destroying": State(_("销毁中"), "blue", "loader-2", turning=True),
        "retired": State(_("已销毁"), "grey", "trash"),
        "failed": State(_("交付失败"), "red", "alert-triangle"),
    },
    "job": {
        "queued": State(_("排队中"), "grey", "clock"),
        "running": State(_("运行中"), "blue", "loader-2", turning=True),
        "succeeded": State(_("成功"), "green", "circle-check"),
        "failed": State(_("失败"), "red", "circle-x"),
        "cancelled": State(_("已取消"), "grey", "circle-minus"),
    },
    "upgrade": {
        "running": State(_("进行中"), "blue", "loader-2", turning=True),
        "stopped": State(_("已停下"), "amber", "player-pause"),
        "finished": State(_("已完成"), "green", "circle-check"),
        "cancelled": State(_("已取消"), "grey", "circle-minus"),
    },
    "upgrade_member": {
        "pending": State(_("未开始"), "grey", "clock"),
        "running": State(_("升级中"), "blue", "loader-2", turning=True),
        "going_back": State(_("复原中"), "amber", "arrow-back-up"),
        "done": State(_("已升级"), "green", "circle-check"),
        "failed": State(_("失败，已复原"), "red", "circle-x"),
        "skipped": State(_("跳过"), "grey", "circle-minus"),
    },
    "backup": {
        "pending": State(_("进行中"), "blue", "loader-2", turning=True),
        "kept": State(_("已保存"), "green", "circle-check"),
        "failed": State(_("失败"), "red", "circle-x"),
        "deleting": State(_("删除中"), "grey", "trash"),
        "deleted": State(_("已删除"), "grey", "trash"),
    },
    "certificate": {
        "pending": State(_("启用中"), "blue", "loader-2", turning=True),
        "valid": State(_("有效"), "green", "circle-check"),
        "held": State(_("暂停"), "amber", "player-pause"),
        "revoked": State(_("已吊销"), "red", "circle-x"),
        "expired": State(_("已到期"), "grey", "clock"),
    },
    "step": {
        "waiting": State(_("未开始"), "grey", "circle-dashed"),
        "running": State(_("进行中"), "blue", "loader-2", turning=True),
        "ok": State(_("完成"), "green", "circle-check"),
        "skipped": State(_("跳过"), "grey", "circle-minus"),
        "failed": State(_("失败"), "red", "circle-x"),
        "unreachable": State(_("失败"), "red", "circle-x"),
    },
    "decision": {
        "waiting": State(_("未到"), "grey", "clock"),
        "pending": State(_("待办"), "amber", "hourglass-high"),
        "agreed": State(_("同意"), "green", "check"),
        "returned": State(_("退回补正"), "amber", "arrow-back-up"),
        "refused": State(_("不予同意"), "red", "x"),
        "dropped": State(_("无需办理"), "grey", "minus"),
    },
    "period": {
        "open": State(_("未结账"), "amber", "lock-open"),
        "closed": State(_("已结账"), "green", "lock"),
    },
}


def state_of(kind: str, code: str) -> State:
    """How a state is shown; an unknown code as it is, in grey, so that no page breaks on it."""
    return STATES.get(kind, {}).get(code) or State(code, "grey", "circle")
