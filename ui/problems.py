"""The words of the error pages: what happened, what is unchanged, what to do."""

from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext as _


@dataclass(frozen=True)
class Problem:
    """One error page; texts are lazy strings, `faults` and `links` are filled in by the handler."""

    status: int
    icon: str
    title: Any
    happened: Any
    unchanged: Any
    what_to_do: Any
    trace: str = ""
    code: str = ""
    faults: tuple[str, ...] = ()
    links: tuple[tuple[Any, str], ...] = field(default_factory=tuple)


PROBLEMS: dict[int, Problem] = {
    400: Problem(
        400,
        "alert-circle",
        _("这次提交无法识别"),
        _("页面停留过久，或提交的内容不完整。"),
        _("没有任何内容被保存或更改。"),
        _("返回上一页刷新后再试。"),
    ),
    401: Problem(
        401,
        "lock",
        _("请先登录"),
        _("登录已过期，或尚未登录。"),
        _("没有任何内容被更改。"),
        _("登录后会回到原来的页面。"),
    ),
    403: Problem(
        403,
        "shield-lock",
        _("您没有权限打开此页"),
        _("此页面或操作不在您的岗位权限之内。"),
        _("没有任何内容被更改。"),
        _("如确需使用，请联系本部门管理员调整角色，并告知下方的追踪号。"),
    ),
    404: Problem(
        404,
        "file-search",
        _("没有找到这个页面"),
        _("地址有误，或内容不在您可查看的范围内。"),
        _("您的申请单和资源都没有变化。"),
        _("请从左侧菜单进入，或在顶部按编号查找。"),
    ),
    405: Problem(
        405,
        "ban",
        _("此地址不接受这种操作"),
        _("页面可能已更新，原来的按钮不再适用。"),
        _("没有任何内容被更改。"),
        _("返回上一页刷新后再试。"),
    ),
    409: Problem(
        409,
        "arrows-exchange",
        _("情况已经变化"),
        _("在您操作之前，这件事已被他人办理或状态已经改变。"),
        _("您的这次操作没有生效，其他内容未受影响。"),
        _("刷新页面查看最新状态，再决定是否需要办理。"),
    ),
    413: Problem(
        413,
        "files",
        _("提交的内容过大"),
        _("上传的文件或文字超过了允许的大小。"),
        _("没有任何内容被保存。"),
        _("缩小文件后重新提交。"),
    ),
    422: Problem(
        422,
        "clipboard-check",
        _("提交的内容有误"),
        _("有一处或多处填写不符合要求，已一并列出。"),
        _("没有任何内容被保存，也没有占用配额。"),
        _("返回上一页，逐项改正后重新提交。"),
    ),
    429: Problem(
        429,
        "hourglass-high",
        _("操作过于频繁"),
        _("短时间内的请求超过了上限。"),
        _("之前已成功的操作不受影响。"),
        _("请稍候片刻再试。"),
    ),
    500: Problem(
        500,
        "alert-triangle",
        _("系统出现故障"),
        _("处理这次请求时发生了意外错误，已记入日志。"),
        _("这次操作没有保存任何内容，已办理的事项不受影响。"),
        _("请稍后重试；仍不成功时，请将追踪号告知平台值班人员。"),
    ),
    503: Problem(
        503,
        "plug-connected-x",
        _("服务暂时不可用"),
        _("系统正在启动或维护。"),
        _("已提交的申请和运行中的资源不受影响。"),
        _("请几分钟后再试。"),
    ),
}
