"""Signing in and out, who the bearer of a session or token is, what a person keeps for themselves;
each call one transaction."""

from __future__ import annotations

from controlplane import audit
from controlplane.audit import Actor
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import Fault, InvalidInput, SignInRefused
from controlplane.policy import Subject
from controlplane.tenancy import saved_views
from controlplane.tenancy import service as tenancy
from controlplane.text import holds_control_characters, without_control_characters


class Accounts:
    def __init__(self, db: Database, settings: Settings, clock: Clock) -> None:
        self.db = db
        self.settings = settings
        self.clock = clock

    def sign_in(self, login: str, password: str, address: str) -> str:
        """A new session's secret. Errors: SignInRefused; the failure is counted and audited."""
        with self.db.transaction() as session:
            secret = tenancy.sign_in(
                session,
                self.settings,
                without_control_characters(login.strip()[:64]),
                password[:1024],
                address=address,
                now=self.clock(),
            )
        if secret is None:
            raise SignInRefused
        return secret

    def identify_session(self, secret: str) -> Subject:
        """Errors: NotSignedIn. Being seen prolongs the session, written at most once a minute."""
        now = self.clock()
        with self.db.read() as session:
            subject = tenancy.identify_session(session, self.settings, secret, now)
            stale = tenancy.session_needs_touch(session, secret, now)
        if stale:
            with self.db.transaction() as session:
                tenancy.touch_session(session, secret, now)
        return subject

    def sign_out(self, secret: str) -> None:
        with self.db.transaction() as session:
            tenancy.sign_out(session, secret)

    def identify_token(self, secret: str) -> Subject:
        """Errors: NotSignedIn."""
        with self.db.read() as session:
            return tenancy.identify_token(session, secret, self.clock())

    def create_token(self, subject: Subject, name: str) -> str:
        """A bearer token for the API, shown once, good for 90 days. Errors: InvalidInput."""
        name = _checked_name(name, limit=80)
        with self.db.transaction() as session:
            secret = tenancy.create_token(session, subject, name, now=self.clock())
            audit.record(
                session,
                Actor(subject.person_id, subject.name),
                "token_created",
                at=self.clock(),
                object_type="person",
                object_id=str(subject.person_id),
                name=name,
            )
        return secret

    def save_view(self, subject: Subject, list_name: str, name: str, query: str) -> None:
        """The filters `query` of a list under `name`, which replaces those it had.

        Errors: InvalidInput.
        """
        name = _checked_name(name, limit=40)
        with self.db.transaction() as session:
            saved_views.save_view(session, subject, list_name, name, query, self.clock())

    def forget_view(self, subject: Subject, view_id: int) -> None:
        """Errors: NotFound, also when it is somebody else's."""
        with self.db.transaction() as session:
            saved_views.forget_view(session, subject, view_id)


def _checked_name(name: str, *, limit: int) -> str:
    name = name.strip()
    if not 1 <= len(name) <= limit:
        code = "field_too_long" if name else "field_required"
        raise InvalidInput([Fault(code, "name", {"limit": limit, "length": len(name)})])
    if holds_control_characters(name):
        raise InvalidInput([Fault("field_control_characters", "name")])
    return name
