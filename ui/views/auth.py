"""Signing in and out, and the person's API tokens."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from controlplane import messages
from controlplane.errors import InvalidInput, SignInRefused
from ui.preferences import current_language, local_target
from ui.session import (
    COOKIE,
    allow,
    control_plane,
    csrf,
    find_subject,
    forget,
    limiter,
    remember,
    subject,
)

auth_pages = Blueprint("auth", __name__)
account_pages = Blueprint("account", __name__)


@auth_pages.get("/sign-in")
def sign_in() -> str | BaseResponse:
    """The sign-in page; whoever is signed in already goes on."""
    target = local_target(request.args.get("next"))
    if find_subject() is not None:
        return redirect(target)
    return render_template("auth/sign_in.html", target=target, login="", error="")


@auth_pages.post("/sign-in")
@limiter.limit("30 per minute")
def check_sign_in() -> BaseResponse | tuple[str, int]:
    """Check name and password; on success a new session starts."""
    csrf.protect()
    target = local_target(request.form.get("next"))
    login = request.form.get("login", "")
    try:
        secret = control_plane().accounts.sign_in(
            login, request.form.get("password", ""), request.remote_addr or ""
        )
    except SignInRefused as refusal:
        error = messages.text_of_error(refusal, current_language())
        page = render_template("auth/sign_in.html", target=target, login=login, error=error)
        return page, refusal.status
    response = make_response(redirect(target))
    remember(response, secret)
    return response


@auth_pages.post("/sign-out")
def sign_out() -> Response:
    """End the session here and on the server."""
    csrf.protect()
    secret = request.cookies.get(COOKIE)
    if secret:
        control_plane().accounts.sign_out(secret)
    response = make_response(redirect(url_for("auth.sign_in")))
    forget(response)
    return response


@account_pages.get("/account/token")
def token() -> str:
    """The form for a new API token."""
    allow("token.manage")
    return render_template("auth/token.html", secret="", name="", error="")


@account_pages.post("/account/token")
def create_token() -> str | tuple[str, int]:
    """Make a token and show its secret this once."""
    allow("token.manage")
    name = request.form.get("name", "")
    try:
        secret = control_plane().accounts.create_token(subject(), name)
    except InvalidInput as refusal:
        error = "；".join(
            messages.text_of_fault(f, current_language()) for f in refusal.faults
        ) or gettext("名称有误")
        return render_template("auth/token.html", secret="", name=name, error=error), 422
    return render_template("auth/token.html", secret=secret, name=name, error="")
