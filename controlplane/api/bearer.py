"""Who calls: a bearer token in the Authorization header, never a cookie."""

from __future__ import annotations

from typing import Protocol

from flask import current_app, g, request

from controlplane.accounts import Accounts
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.connections import Connections
from controlplane.db import Database
from controlplane.errors import NotSignedIn
from controlplane.leases import Leases
from controlplane.logs import Logs
from controlplane.operations import Operations
from controlplane.pipeline import Pipeline
from controlplane.policy import Subject
from controlplane.protecting import Protecting
from controlplane.recovery import Recovery
from controlplane.upgrading import Upgrading
from controlplane.uploading import Uploads


class UseCases(Protocol):
    """What the API needs of `app.ControlPlane`, which wires it and so cannot be imported here."""

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
    def connections(self) -> Connections: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def upgrading(self) -> Upgrading: ...
    @property
    def protecting(self) -> Protecting: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def uploads(self) -> Uploads: ...
    @property
    def logs(self) -> Logs: ...


def control_plane() -> UseCases:
    wired: UseCases = current_app.extensions["controlplane"]
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
