"""The words of audit events, for timelines and the audit page."""

from flask_babel import lazy_gettext as _

EVENTS = {
    "request_submitted": _("提交申请"),
    "request_withdrawn": _("撤回申请"),
    "step_decided": _("办理环节"),
    "request_approved": _("申请获批"),
    "request_returned": _("退回补正"),
    "request_refused": _("不予同意"),
    "request_fulfilled": _("交付完成"),
    "request_failed": _("交付失败"),
    "resource_operated": _("操作资源"),
    "connection_shown": _("查看连接信息"),
    "resource_renewed": _("续期"),
    "resource_retiring": _("申请销毁"),
    "resource_retirement_cancelled": _("取消销毁"),
    "resource_retired_at_once": _("立即销毁"),
    "resource_retired": _("已销毁"),
    "server_certificate_signed": _("已签发服务器证书"),
    "resource_retired_without_backup": _("未备份即销毁"),
    "archive_uploaded": _("上传应用包"),
    "archive_deleted": _("删除长期未用的应用包"),
    "backup_asked": _("要求备份"),
    "backup_taken": _("备份完成"),
    "backup_failed": _("备份失败"),
    "backup_deleted": _("备份到期删除"),
    "restore_asked": _("要求原地恢复"),
    "resource_restored": _("原地恢复完成"),
    "exchange_asked": _("要求互换数据"),
    "resource_exchanged": _("互换数据完成"),
    "drill_asked": _("要求恢复演练"),
    "restore_proven": _("恢复演练通过"),
    "restore_not_proven": _("恢复演练未通过"),
    "schedule_changed": _("更改备份计划"),
    "resource_upgrade_begun": _("开始升级"),
    "resource_upgraded": _("升级完成"),
    "resource_upgrade_failed": _("升级失败，正在复原"),
    "upgrade_started": _("启动升级任务"),
    "upgrade_stopped": _("升级任务停下"),
    "upgrade_resumed": _("继续升级任务"),
    "upgrade_cancelled": _("取消升级任务"),
    "upgrade_finished": _("升级任务完成"),
    "disk_near": _("存储将满"),
    "disk_critical": _("存储即将用尽"),
    "disk_full": _("存储已满，转为只读"),
    "disk_used_up": _("存储已满，写不进新数据"),
    "disk_freed": _("存储恢复正常"),
    "lease_suspended": _("到期停用"),
    "resource_protected": _("设为受保护"),
    "resource_unprotected": _("解除保护"),
    "second_person_asked": _("申请双人复核"),
    "second_person_decided": _("双人复核"),
    "second_person_lapsed": _("双人复核逾期，已撤销"),
    "certificate_issued": _("签发证书"),
    "certificate_renewal_due": _("到期前续发证书"),
    "certificate_held": _("暂停证书"),
    "certificate_released": _("恢复证书"),
    "certificate_revoked": _("吊销证书"),
    "job_retried": _("重试作业"),
    "job_cancel_asked": _("取消作业"),
    "quotas_applied": _("应用配额声明"),
    "signed_in": _("登录"),
    "sign_in_failed": _("登录失败"),
    "signed_out": _("退出登录"),
    "token_created": _("生成接口令牌"),
    "token_revoked": _("撤销接口令牌"),
    "person_added": _("添加人员"),
}

DETAILS = {
    "office": _("单位"),
    "decision": _("决定"),
    "opinion": _("意见"),
    "pool": _("资源池"),
    "request": _("申请单"),
    "reason": _("原因"),
    "action": _("动作"),
    "job": _("作业"),
    "changes": _("变更"),
    "retire_at": _("销毁时间"),
    "months": _("月数"),
    "expires_at": _("到期"),
    "name": _("名称"),
    "locked": _("已锁定"),
    "again": _("再次查看"),
    "account": _("账号"),
    "used_bytes": _("已用字节"),
    "backup": _("备份"),
    "before": _("先备份为"),
    "other": _("另一实例"),
    "kind": _("类别"),
    "daily_at": _("每天备份时间"),
    "keep_days": _("保留天数"),
    "act": _("操作"),
    "service": _("服务"),
    "older": _("原版本"),
    "version": _("版本"),
    "campaign": _("升级任务"),
    "instances": _("实例数"),
    "failed": _("失败"),
    "serial": _("序列号"),
    "names": _("域名"),
}
DECISIONS = {"agree": _("同意"), "return": _("退回补正"), "refuse": _("不予同意")}


#: What a guarded act is called, and what it will do.
ACTS = {
    "retire": (_("退订"), _("立即停止，宽限期后销毁；宽限期内可以撤销。")),
    "retire_now": (_("立即销毁"), _("不再等待宽限期，立即删除云上的全部对象，不能恢复。")),
    "unprotect": (_("解除保护"), _("以后一个人就可以销毁此资源。")),
    "restore": (_("原地恢复"), _("先备份现有数据，再换成所选备份的数据，连接串不变。")),
    "exchange": (_("互换数据"), _("两个实例的数据对调，各自的连接串不变。")),
}


def act_name(act: str) -> str:
    return str(ACTS[act][0])


def act_effect(act: str) -> str:
    return str(ACTS[act][1])


def event_detail(key: str, value: object) -> str:
    """One detail of an event in words."""
    if key == "act" and value in ACTS:
        return f"{DETAILS[key]}: {act_name(str(value))}"
    shown = str(DECISIONS.get(str(value), value)) if key == "decision" else str(value)
    return f"{DETAILS.get(key, key)}: {shown}"


def event_name(event: str) -> str:
    """The words of an event; one without words is shown as it is stored."""
    return str(EVENTS.get(event, event))


def event_names() -> list[tuple[str, str]]:
    """(code, words) of every event, for a filter."""
    return [(code, str(name)) for code, name in EVENTS.items()]
