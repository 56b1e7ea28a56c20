"""The words of every error code, Chinese and English; nobody else writes error sentences."""

from __future__ import annotations

from typing import Any

from controlplane.errors import DeclarationInvalid, DomainError, Fault

Language = str  # "zh" or "en"

#: code -> (Chinese, English); the fields in braces are the fault's or error's params.
MESSAGES: dict[str, tuple[str, str]] = {
    "error": ("操作未完成", "The action was not completed"),
    "invalid_input": (
        "有内容需要更正，未作任何更改",
        "Some entries need correcting; nothing was changed",
    ),
    "not_found": ("没有找到，或不在您的权限范围内", "Not found, or not yours to see"),
    "forbidden": ("您没有此项权限", "You are not allowed to do this"),
    "not_signed_in": ("请先登录", "Please sign in"),
    "sign_in_refused": (
        "用户名或密码不正确，或账号因多次失败暂时锁定",
        "Wrong name or password, or the account is locked for a while after failed tries",
    ),
    "own_request": ("不能审批本人提交的申请", "Nobody decides on a request of their own"),
    "own_ask": (
        "复核须由另一人进行，不能复核本人的操作",
        "The second person must be somebody else than who asked",
    ),
    "second_person_awaited": (
        "此资源已有操作等待第二人复核，请先办理",
        "Something already waits for a second person here; decide on that first",
    ),
    "upgrade_open": (
        "此服务已有升级任务 {number} 未结束，请先完成或取消它",
        "Upgrade {number} of this service is not finished; finish or cancel it first",
    ),
    "lease_ended": (
        "使用期限已过，请先续期，续期后自动恢复",
        "The lease is over; renew it, and the resource comes back by itself",
    ),
    "state_conflict": (
        "当前状态“{state}”不能执行此操作",
        "This cannot be done in the present state ({state})",
    ),
    "resource_busy": (
        "资源正在执行其他操作，请等它结束后再试",
        "Another action is running on this resource; try again when it has ended",
    ),
    "edited_meanwhile": (
        "内容已被他人更改，请刷新后重试",
        "Somebody else changed this meanwhile; reload and try again",
    ),
    "admission_refused": (
        "配额或资源池不足，未作任何更改",
        "Quota or pool is too small for this; nothing was changed",
    ),
    "dependence_refused": (
        "资源之间有依赖，未作任何更改",
        "One resource stands on another; nothing was changed",
    ),
    "declaration_invalid": (
        "声明文件有误，未应用任何内容",
        "A declaration is wrong; nothing was applied",
    ),
    "cloud_unavailable": ("云平台暂时没有响应：{reason}", "The cloud does not answer: {reason}"),
    "cloud_refused": ("云平台拒绝了请求：{reason}", "The cloud refused: {reason}"),
    "plan_cannot_restore": (
        "此套餐不能从备份恢复，请选其他套餐",
        "This plan cannot restore a backup; choose another",
    ),
    "plan_cannot_clone": (
        "此套餐不能克隆，请选其他套餐",
        "This plan cannot clone; choose another",
    ),
    "clone_of_other_kind": (
        "独享实例只能克隆到同类套餐；共享实例可克隆到任何套餐",
        "An own server or a machine is cloned to its own kind only; a shared one to any plan",
    ),
    "backup_of_other_kind": (
        "共享套餐的备份只能恢复到共享套餐，独享套餐的只能恢复到独享套餐",
        "A backup of a shared plan goes to a shared one, that of an own server to such a one",
    ),
    "clone_or_restore": (
        "克隆和从备份恢复只能选一项",
        "Choose a clone or a backup, not both",
    ),
    "no_logs": ("此资源没有可查看的日志", "This resource has no log to look at"),
    "no_moments": (
        "此资源还不能取某一时刻的数据",
        "No moment of this resource can be had yet",
    ),
    "moment_outside": (
        "只能取 {since} 到 {until}（北京时间）之间的时刻",
        "Only moments from {since} to {until}, Beijing time, can be had",
    ),
    "moment_unreadable": (
        "请按 2026-11-23 15:40 的形式填写，可加秒",
        "Write it as 2026-11-23 15:40, with seconds if need be",
    ),
    "no_backups": ("此服务不提供备份", "This service has no backups"),
    "backup_unusable": (
        "备份 {number} {why}，未作任何更改",
        "Backup {number} {why}; nothing was changed",
    ),
    "no_exchange": (
        "只能与本部门同一服务、同一资源池的另一个实例互换",
        "Only another instance of the same department, service and pool can be exchanged with",
    ),
    "configuration_missing": ("部署缺少：{what}", "This deployment lacks: {what}"),
    "too_many_requests": ("请求过于频繁，请稍后再试", "Too many requests; try again later"),
    "request_too_large": ("提交的内容过大", "What was sent is too large"),
    # Fields
    "field_required": ("必须填写", "Required"),
    "field_unknown": ("没有这个填写项：{name}", "Unknown field: {name}"),
    "field_not_integer": ("请填写整数", "Enter a whole number"),
    "field_not_text": ("请填写文字", "Enter text"),
    "field_type": ("格式不正确", "Wrong kind of value"),
    "field_too_small": ("不能小于 {limit}", "At least {limit}"),
    "field_too_large": ("不能大于 {limit}", "At most {limit}"),
    "field_not_multiple": ("必须是 {step} 的倍数", "Must be a multiple of {step}"),
    "field_too_short": ("至少 {limit} 个字", "At least {limit} characters"),
    "field_too_long": (
        "最多 {limit} 个字，现有 {length} 个",
        "At most {limit} characters; these are {length}",
    ),
    "field_pattern": ("格式不符合要求", "Does not have the form asked for"),
    "field_choice": ("不在可选范围内", "Not one of the choices"),
    "field_control_characters": (
        "不能含换行或控制字符",
        "Must not contain line breaks or control characters",
    ),
    "field_too_many": ("最多 {limit} 项", "At most {limit} entries"),
    "value_cannot_be_kept": (
        "有内容过长、过大，或含有无法保存的字符",
        "Something is too long, too large, or holds characters that cannot be kept",
    ),
    "engine_absent": (
        "本平台尚未接入{engine}，暂不提供",
        "Not offered: this platform has no {engine} yet",
    ),
    "zone_not_offered": ("此服务不在该网络域提供", "This service is not offered in that zone"),
    # Uploads
    "upload_not_archive": (
        "不是可用的压缩包，请上传 tar.gz 或 zip",
        "Not an archive that can be used; upload a tar.gz or a zip",
    ),
    "upload_damaged": (
        "压缩包已损坏，无法完整读取",
        "The archive is damaged: it cannot be read to its end",
    ),
    "upload_too_large": ("文件不能大于 {limit} MiB", "The file may have at most {limit} MiB"),
    "upload_unpacked_too_large": (
        "解压后不能大于 {limit} MiB",
        "Unpacked it may come to at most {limit} MiB",
    ),
    "upload_too_many": (
        "压缩包内最多 {limit} 个文件和目录",
        "The archive may hold at most {limit} files and folders",
    ),
    "upload_empty": ("压缩包内没有文件", "The archive holds no file"),
    "upload_outside": (
        "“{name}”指向压缩包以外的位置",
        "“{name}” leads out of the archive",
    ),
    "upload_link": (
        "“{name}”是链接，请改为文件本身",
        "“{name}” is a link; put the file itself in its place",
    ),
    "upload_special": (
        "“{name}”是设备或管道，不能部署",
        "“{name}” is a device or a pipe and cannot be deployed",
    ),
    "upload_bad_name": (
        "“{name}”的文件名过长，或含反斜杠、控制字符",
        "“{name}” is too long a name, or holds backslashes or control characters",
    ),
    "upload_encrypted": ("“{name}”已加密，无法检查", "“{name}” is encrypted and cannot be checked"),
    "upload_twice": (
        "“{name}”在压缩包内出现两次",
        "“{name}” stands in the archive twice",
    ),
    "upload_no_room": (
        "上传存储空间不足，请联系平台管理员",
        "The store of uploads has no room; tell the platform's engineers",
    ),
    "upload_department_full": (
        "本部门的上传件合计不能超过 {limit} MiB",
        "The department's uploads may come to at most {limit} MiB together",
    ),
    "opinion_required": ("退回或不予同意必须写明理由", "Returning or refusing needs a reason"),
    "confirmation_differs": (
        "输入的名称与资源名称不一致",
        "The name typed is not the resource's name",
    ),
    "lease_too_long": (
        "使用期限最长到 {latest}，还可续 {limit} 个月",
        "The lease may last until {latest}: {limit} more months",
    ),
    "reason_required": (
        "连接信息已经显示过，再次查看请写明理由",
        "The connection details were shown before; say why you need them again",
    ),
    "nothing_changes": ("没有需要变更的内容", "Nothing would change"),
    "volume_cannot_shrink": ("云硬盘只能扩大，不能缩小", "A volume can grow, not shrink"),
    "field_fixed": ("此项不能变更", "This cannot be changed"),
    "account_taken": ("已有同名账号", "There is an account of that name"),
    "too_many_accounts": ("最多 {limit} 个账号", "At most {limit} accounts"),
    "has_dependents": (
        "仍有资源依赖它：{names}",
        "Other resources stand on it: {names}",
    ),
    # Upgrades
    "service_unknown": ("没有服务“{service}”", "There is no service {service}"),
    "version_unknown": (
        "{service} 没有版本 {version}，现有：{kept}",
        "{service} has no version {version}; there are {kept}",
    ),
    "version_not_newer": ("{version} 不比 {before} 新", "{version} is not newer than {before}"),
    "upgrade_not_declared": (
        "{version} 没有声明如何升级到它",
        "{version} does not declare how an instance is upgraded to it",
    ),
    "nothing_to_upgrade": ("没有停留在 {version} 的实例", "No instance stays on {version}"),
    "group_unreadable": (
        "“{text}”不是分组：应为 department:代码、zone:网络域、plan:套餐，或以逗号分隔的资源编号",
        "{text} is no group: write department:CODE, zone:ZONE, plan:PLAN or numbers of resources",
    ),
    "group_empty": ("“{text}”未选中任何实例", "{text} selects no instance"),
    "version_is": ("已是版本 {version}", "It is at version {version}"),
    "engine_differs": (
        "新版本的套餐不在同一平台上",
        "The plan of the new version stands on another engine",
    ),
    "nothing_upgradable": (
        "没有一个实例能够升级，原因见预览",
        "Not one instance can be upgraded; the preview says why",
    ),
    "dependents_need": (
        "依赖它的资源 {names} 共需{dimension} {need}，变更后只有 {left}",
        "{names} stand on it and need {need} of {dimension}; it would have {left}",
    ),
    "base_leaving": (
        "“{name}”正在退订或已不存在，不能再依赖它",
        "{name} is being retired or is gone; nothing can stand on it any more",
    ),
    "base_not_ready": (
        "“{name}”尚未交付，请等它交付后再试",
        "{name} is not delivered yet; try again when it is",
    ),
    "base_too_small": (
        "“{name}”{dimension}不足：至少需要 {need}，现有 {left}",
        "{name} is too small: it takes {need} of {dimension}, and there is {left}",
    ),
    # Admission
    "pool_short": (
        "资源池“{pool}”{dimension}不足：申请 {asked}，可用 {free}，总量 {capacity}",
        "Pool {pool} lacks {dimension}: asked {asked}, free {free} of {capacity}",
    ),
    "quota_short": (
        "“{department}”配额{dimension}不足：申请 {asked}，可用 {free}，配额 {capacity}",
        "Quota of {department} lacks {dimension}: asked {asked}, free {free} of {capacity}",
    ),
    "quota_missing": (
        "本部门在该网络域没有{dimension}配额，请联系管理员",
        "The department has no quota of {dimension} in this zone; ask the administrator",
    ),
    # Certificates
    "certificate_without_names": (
        "请填写域名或地址，或粘贴含有它们的证书请求",
        "Give a name or an address, or paste a request that has them",
    ),
    "certificate_name_malformed": ("“{name}”不是完整的域名", "{name} is not a full domain name"),
    "certificate_wildcard": (
        "不签发通配符证书（{name}），请逐一写出域名",
        "No wildcard certificates ({name}); give each name",
    ),
    "certificate_no_domain": (
        "本部门尚未登记域名，不能为“{name}”签发；请联系管理员",
        "The department has no domain yet, so {name} cannot be certified; ask the administrator",
    ),
    "certificate_name_foreign": (
        "“{name}”不属于本部门的域名 {domain}",
        "{name} is not a name of the department's domain {domain}",
    ),
    "certificate_name_reserved": (
        "“{name}”是保留名称：同域的计算机会自动访问并信任它，不予签发",
        "{name} is reserved: machines of its domain ask for it by themselves and trust it",
    ),
    "certificate_name_taken": (
        "“{name}”已由“{resource}”使用",
        "{name} is served by {resource} already",
    ),
    "certificate_address_malformed": ("“{name}”不是 IP 地址", "{name} is not an IP address"),
    "certificate_address_foreign": (
        "{name} 不是本部门云主机的地址",
        "{name} is not an address of the department's machines",
    ),
    "certificate_request_unreadable": (
        "不是 PEM 格式的证书请求（CSR）",
        "Not a certificate request (CSR) in PEM",
    ),
    "certificate_request_not_signed": (
        "证书请求的签名与其中的公钥不符",
        "The request is not signed by the key in it",
    ),
    "certificate_hash_weak": (
        "证书请求须用 SHA-256 或更强的摘要签名",
        "The request must be signed with SHA-256 or better",
    ),
    "certificate_key_weak": (
        "公钥须为 RSA 2048 至 8192 位、P-256/384/521 或 Ed25519",
        "The key must be RSA of 2048 to 8192 bits, P-256/384/521 or Ed25519",
    ),
    "certificate_of_authority": (
        "证书请求要求成为签发机构，不予签发",
        "The request asks to be an authority, which is not given",
    ),
    "certificate_key_compromised": (
        "此密钥已报泄露，须换用新密钥",
        "This key was reported as leaked; make a new one",
    ),
    "certificate_none_held": (
        "没有暂停中的证书，请重新签发",
        "No certificate is suspended; issue a new one",
    ),
    "pool_missing": ("该网络域没有可用的资源池", "There is no pool for this in that zone"),
}

#: Names of capacity dimensions as people read them.
DIMENSIONS: dict[str, tuple[str, str]] = {
    "vcpu": (" CPU（核）", "CPU (cores)"),
    "certificates": ("证书（张）", "certificates"),
    "memory_mib": ("内存（MiB）", "memory (MiB)"),
    "storage_gib.standard": ("标准存储（GiB）", "standard storage (GiB)"),
    "storage_gib.backup": ("备份存储（GiB）", "backup storage (GiB)"),
    "storage_gib.ssd": ("高性能存储（GiB）", "SSD storage (GiB)"),
    "storage_gib.object": ("对象存储（GiB）", "object storage (GiB)"),
}


#: Names of engines as people read them.
ENGINES: dict[str, dict[str, str]] = {
    "openstack": {"zh": "云主机平台（OpenStack）", "en": "OpenStack"},
    "kubernetes": {"zh": "容器平台（Kubernetes）", "en": "Kubernetes"},
    "shared": {"zh": "共享服务", "en": "shared servers"},
    "object_storage": {"zh": "对象存储（Swift）", "en": "object storage (Swift)"},
    "authority": {"zh": "认证中心", "en": "certificate authority"},
    "machine": {
        "zh": "可登录配置的真实云主机（并须有认证中心）",
        "en": "real machines to configure, with a certificate authority",
    },
}


def text_of(code: str, params: Any, language: Language) -> str:
    """The sentence of a code; numbers are grouped by thousands, `{zh, en}` take their language."""
    index = 0 if language == "zh" else 1
    return MESSAGES[code][index].format_map({k: _shown(k, v, index) for k, v in params.items()})


def text_of_fault(fault: Fault, language: Language) -> str:
    return text_of(fault.code, fault.params, language)


def text_of_error(error: DomainError, language: Language) -> str:
    """The sentence of the error itself, without its faults."""
    if isinstance(error, DeclarationInvalid):
        return text_of(error.code, {}, language) + "\n" + str(error)
    params = {"state": "", "reason": "", "what": "", **error.params}
    return text_of(error.code, params, language)


def _shown(name: str, value: Any, index: int) -> Any:
    if name == "dimension":
        return DIMENSIONS.get(value, (value, value))[index]
    if isinstance(value, dict) and {"zh", "en"} <= value.keys():
        return value["zh" if index == 0 else "en"]
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value
