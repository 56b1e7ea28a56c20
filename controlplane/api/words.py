"""The words of what only HTTP can say: a title for each status, codes that no use case raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.errors import Fault
from controlplane.messages import MESSAGES, Language, text_of

#: status -> (Chinese, English): the `title` of a problem, the same at every occurrence.
TITLES: dict[int, tuple[str, str]] = {
    400: ("请求无法识别", "Bad request"),
    401: ("未通过身份验证", "Not authenticated"),
    403: ("没有权限", "Forbidden"),
    404: ("没有找到", "Not found"),
    405: ("不接受此方法", "Method not allowed"),
    409: ("情况已经变化", "Conflict"),
    413: ("内容过大", "Content too large"),
    415: ("不接受此媒体类型", "Unsupported media type"),
    422: ("内容需要更正", "Invalid content"),
    429: ("请求过于频繁", "Too many requests"),
    500: ("系统出现故障", "Internal error"),
    502: ("云平台拒绝", "The cloud refused"),
    503: ("暂时不可用", "Unavailable"),
}

#: code -> (Chinese, English), beside `messages.MESSAGES`.
HTTP_MESSAGES: dict[str, tuple[str, str]] = {
    "bad_request": ("请求无法识别", "The request cannot be understood"),
    "json_malformed": (
        "请求体不是有效的 JSON：{reason}",
        "The body is not usable JSON: {reason}",
    ),
    "token_required": (
        "请在 Authorization 头中提供有效的令牌（Bearer）",
        "Send a valid token in the Authorization header (Bearer)",
    ),
    "method_not_allowed": (
        "此地址不接受 {method}，可用：{allowed}",
        "{method} is not allowed here; allowed: {allowed}",
    ),
    "unsupported_media_type": (
        "请求体须为 application/json",
        "The body must be application/json",
    ),
    "internal_error": (
        "发生意外错误，未保存任何内容；请将追踪号告知平台值班人员",
        "Something unexpected happened and nothing was saved; tell the platform team the trace",
    ),
    "idempotency_key_reused": (
        "此 Idempotency-Key 已用于另一份内容不同的申请",
        "This Idempotency-Key was already used for a different request",
    ),
}

#: Codes of the HTTP errors that the framework raises by itself.
CODES_BY_STATUS: dict[int, str] = {
    400: "bad_request",
    401: "token_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_error",
}


def title_of(status: int, language: Language) -> str:
    titles = TITLES.get(status) or TITLES[500 if status >= 500 else 400]
    return titles[0 if language == "zh" else 1]


def sentence_of(code: str, params: Mapping[str, Any], language: Language) -> str:
    """The sentence of a code of either table; a code in neither is a programming error."""
    if code in MESSAGES:
        return text_of(code, params, language)
    return HTTP_MESSAGES[code][0 if language == "zh" else 1].format_map(dict(params))


def sentence_of_fault(fault: Fault, language: Language) -> str:
    return sentence_of(fault.code, fault.params, language)
