"""Who calls: a bearer token in the Authorization header, never a cookie."""

from __future__ import annotations

from flask import current_app, g, request

from controlplane.app import ControlPlane
from controlplane.errors import NotSignedIn
from controlplane.policy import Subject


def control_plane() -> ControlPlane:
    """The application's use cases."""
    wired: ControlPlane = current_app.extensions["controlplane"]
    return wired


def bearer_token() -> str:
    """The token sent (RFC 6750 §2.1), or "" when none is or it is another scheme."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def identify() -> Subject:
    """Errors: NotSignedIn."""
    token = bearer_token()
    if not token or len(token) > 200:
        raise NotSignedIn
    g.api_subject = control_plane().accounts.identify_token(token)
    return current_subject()


def current_subject() -> Subject:
    """The person behind this request's token; set before any view runs."""
    subject: Subject = g.api_subject
    return subject
