"""Error pages: every failure becomes a designed page with a trace number, never a bare message."""

from __future__ import annotations

import dataclasses
import secrets

from flask import Flask, Response, current_app, g, make_response, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import HTTPException

from controlplane import messages
from controlplane.errors import DomainError
from ui.preferences import current_language
from ui.problems import PROBLEMS, Problem
from ui.refusals import refusal_text
from ui.session import find_subject


def install(app: Flask) -> None:
    """Handlers for domain errors, HTTP errors and whatever else goes wrong."""
    app.before_request(_number_request)
    app.register_error_handler(DomainError, domain_error)
    app.register_error_handler(HTTPException, http_error)
    if not app.testing:
        app.register_error_handler(Exception, unexpected_error)


def _number_request() -> None:
    g.trace = secrets.token_hex(6)


def domain_error(error: DomainError) -> Response:
    """The page of a refusal: its own words, each fault, and that nothing has changed."""
    language = current_language()
    problem = problem_for(error.status)
    faults = tuple(messages.text_of_fault(fault, language) for fault in error.faults)
    return page(
        dataclasses.replace(
            problem,
            happened=refusal_text(error),
            code=error.code,
            faults=faults,
        ),
        error.status,
    )


def http_error(error: HTTPException) -> Response:
    """The page of an HTTP error such as 404 or 405."""
    if error.code is None or error.code < 400:
        return make_response(error)
    return page(problem_for(error.code), error.code)


def unexpected_error(error: Exception) -> Response:
    """The page of a defect; the log has the same trace number."""
    current_app.logger.error("request %s failed", trace(), exc_info=error)
    return page(PROBLEMS[500], 500)


def problem_for(status: int) -> Problem:
    """The words for a status; an unusual one reads like its family."""
    return PROBLEMS.get(status) or PROBLEMS[500 if status >= 500 else 400]


def trace() -> str:
    """The number that ties the page to the log."""
    return str(g.get("trace", ""))


def page(problem: Problem, status: int) -> Response:
    """The problem as a page; as JSON for the API, as a short text for a fragment."""
    if request.path.startswith("/api/"):
        body = {"type": "about:blank", "title": str(problem.title), "status": status}
        response = make_response(body | {"code": problem.code, "trace": trace()}, status)
        response.mimetype = "application/problem+json"
        return response
    signed_in = find_subject() is not None
    links = (
        [(gettext("回到工作台"), url_for("home.index")), (gettext("返回上一页"), request.referrer)]
        if signed_in
        else [(gettext("去登录"), url_for("auth.sign_in"))]
    )
    filled = dataclasses.replace(
        problem,
        status=status,
        trace=trace(),
        links=tuple((label, url) for label, url in links if url),
    )
    template = "errors/error.html" if signed_in else "errors/error_public.html"
    return make_response(render_template(template, problem=filled), status)
