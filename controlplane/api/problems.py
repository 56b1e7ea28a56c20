"""Every refusal as RFC 9457 `application/problem+json`: one shape, stable codes, no traceback."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions
from werkzeug.routing import RequestRedirect

from controlplane.api.words import CODES_BY_STATUS, sentence_of, sentence_of_fault, title_of
from controlplane.errors import DomainError, EditedMeanwhile, Fault, InvalidInput, NotSignedIn
from controlplane.messages import Language, text_of_error

PREFIX = "/api/v1"
PROBLEM_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class RequestRefused(Exception):
    """What is wrong is the HTTP request itself; `code` is one of `words.HTTP_MESSAGES`."""

    def __init__(self, status: int, code: str, **params: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.params = status, code, params


def language() -> Language:
    """`zh` unless the client would rather read English."""
    return request.accept_languages.best_match(["zh", "en"], default="zh") or "zh"


def trace_number() -> str:
    """Names this one request, in the answer and in the log."""
    if "trace" not in g:  # the pages number every request; an unknown address comes before them
        g.trace = secrets.token_hex(6)
    return str(g.trace)


def problem(
    status: int,
    code: str,
    detail: str,
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """RFC 9457 §3.1: `type` is a stable URN, `instance` holds the trace number."""
    words = language()
    body = {
        "type": f"urn:egov-cloud:error:{code}",
        "title": title_of(status, words),
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:egov-cloud:trace:{trace_number()}",
        "errors": [fault_json(fault, words) for fault in faults],
    }
    answer = Response(
        json.dumps(body, ensure_ascii=False), status, content_type=PROBLEM_TYPE, headers=headers
    )
    answer.headers["Content-Language"] = words
    answer.vary.add("Accept-Language")
    return answer


def fault_json(fault: Fault, words: Language) -> dict[str, Any]:
    """One fault: where, which code, in words, and the figures in it (`params`)."""
    return {
        "field": fault.field,
        "code": fault.code,
        "detail": sentence_of_fault(fault, words),
        "params": dict(fault.params),
    }


def in_body(error: InvalidInput, renamed: Mapping[str, str], prefix: str = "") -> InvalidInput:
    """The same refusal with its fields named as they stand in the request's body.

    A field in `renamed` gets its name from there; any other gets `prefix`.
    """
    moved = [
        Fault(f.code, renamed.get(f.field, f"{prefix}{f.field}"), f.params) if f.field else f
        for f in error.faults
    ]
    return type(error)(moved, **error.params)


def register_problem_handlers(blueprint: Blueprint) -> None:
    """The blueprint's own handlers, so that pages may handle the same errors in their way.

    HTTP errors are registered status by status: Flask prefers an application's handler of a
    status to a blueprint's handler of all of them.
    """
    for status in default_exceptions:
        blueprint.register_error_handler(status, _on_http)
    blueprint.register_error_handler(DomainError, _on_domain)
    blueprint.register_error_handler(RequestRefused, _on_refused)
    blueprint.register_error_handler(StaleDataError, _on_stale)
    blueprint.register_error_handler(Exception, _on_unexpected)


def answer_unknown_addresses(app: Flask) -> None:
    """Below the prefix an unknown address or method is a problem too, not a page."""

    @app.before_request
    def unknown_address() -> Response | None:
        error = request.routing_exception
        if error is None or isinstance(error, RequestRedirect) or not _is_ours(request.path):
            return None
        return _on_http(error)


def _is_ours(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _on_domain(error: DomainError) -> Response:
    if isinstance(error, NotSignedIn):
        return _unauthenticated()
    detail = text_of_error(error, language())
    return problem(error.status, error.code, detail, error.faults)


def _unauthenticated() -> Response:
    """RFC 6750 §3: says which scheme, and whether a token was sent that is not good."""
    sent = "Authorization" in request.headers
    challenge = 'Bearer realm="egov-cloud"' + (', error="invalid_token"' if sent else "")
    detail = sentence_of("token_required", {}, language())
    return problem(401, "token_required", detail, headers={"WWW-Authenticate": challenge})


def _on_refused(error: RequestRefused) -> Response:
    return problem(error.status, error.code, sentence_of(error.code, error.params, language()))


def _on_stale(_error: StaleDataError) -> Response:
    return _on_domain(EditedMeanwhile(state=""))


def _on_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = CODES_BY_STATUS.get(status, "internal_error" if status >= 500 else "bad_request")
    params: dict[str, str] = {"method": request.method, "allowed": ""}
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed):
        params["allowed"] = headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return problem(status, code, sentence_of(code, params, language()), headers=headers)


def _on_unexpected(error: Exception) -> Response:
    _log.error(
        "API error, trace %s: %s %s", trace_number(), request.method, request.path, exc_info=error
    )
    return problem(500, "internal_error", sentence_of("internal_error", {}, language()))
