"""Who is at the browser: the sign-in cookie, the person behind it, and what they may do."""

from __future__ import annotations

from typing import Protocol, cast
from urllib.parse import quote

from flask import Flask, Response, current_app, g, make_response, redirect, request, url_for
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response as BaseResponse

from controlplane.accounts import Accounts
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import Forbidden, NotSignedIn
from controlplane.leases import Leases
from controlplane.logs import Logs
from controlplane.operations import Operations
from controlplane.pipeline import Pipeline
from controlplane.policy import Subject, is_allowed
from controlplane.protecting import Protecting
from controlplane.upgrading import Upgrading
from controlplane.uploading import Uploads
from ui.preferences import local_target

COOKIE = "egov_session"
#: What a form may be beside the archive in it.
UPLOAD_FORM_MIB = 1

csrf = CSRFProtect()
limiter = Limiter(get_remote_address, storage_uri="memory://", headers_enabled=True)


class UseCases(Protocol):
    """What pages need of `app.ControlPlane`, which wires them and so cannot be imported here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def db(self) -> Database: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def operations(self) -> Operations: ...
    @property
    def protecting(self) -> Protecting: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def uploads(self) -> Uploads: ...
    @property
    def logs(self) -> Logs: ...
    @property
    def upgrading(self) -> Upgrading: ...


def install(app: Flask) -> None:
    """CSRF protection for pages (the API has none: it takes no cookies) and the rate limiter."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    csrf.init_app(app)
    limiter.init_app(app)


def control_plane() -> UseCases:
    """The control plane that this application serves."""
    return cast(UseCases, current_app.extensions["controlplane"])


def subject() -> Subject:
    """The signed-in person; only after `require_sign_in` let the request through."""
    return cast(Subject, g.subject)


def find_subject() -> Subject | None:
    """The signed-in person, or None; for pages that stand before the log-in too."""
    if "subject" not in g:
        secret = request.cookies.get(COOKIE, "")
        try:
            g.subject = control_plane().accounts.identify_session(secret) if secret else None
        except NotSignedIn:
            g.subject = None
    return cast("Subject | None", g.subject)


def require_sign_in() -> BaseResponse | None:
    """Before each page: sends strangers to the sign-in page and checks forms against CSRF."""
    if find_subject() is None:
        return _to_sign_in()
    if takes_an_archive():
        mib = control_plane().settings.upload_max_mib + UPLOAD_FORM_MIB
        request.max_content_length = mib * 2**20
    csrf.protect()
    return None


def takes_an_archive() -> bool:
    """Whether the address is a form's of a service with an archive: only there may so much come."""
    service = control_plane().catalogue.get((request.view_args or {}).get("service_code", ""))
    return request.endpoint == "asking.take" and service is not None and bool(service.upload_field)


def _to_sign_in() -> BaseResponse:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    address = f"{url_for('auth.sign_in')}?next={quote(local_target(wanted))}"
    if request.headers.get("HX-Request"):
        # htmx follows redirects inside the fragment; this header makes the whole page go there.
        return make_response("", 401, {"HX-Redirect": url_for("auth.sign_in")})
    return redirect(address)


def allow(action: str) -> None:
    """Lets the page go on if the person may do `action` to anything at all. Errors: Forbidden."""
    if not is_allowed(subject(), action):
        raise Forbidden


def may(action: str, department_path: str | None = None) -> bool:
    """Whether the person may do `action` (to a thing of that department): for templates."""
    person = find_subject()
    return person is not None and is_allowed(person, action, department_path=department_path)


def remember(response: Response, secret: str) -> None:
    """Leave the session's secret with the browser."""
    settings = control_plane().settings
    response.set_cookie(
        COOKIE,
        secret,
        max_age=settings.session_max_hours * 3600,
        httponly=True,
        samesite="Lax",
        secure=settings.cookie_secure,
    )


def forget(response: Response) -> None:
    """Take the session's secret back from the browser."""
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax")
