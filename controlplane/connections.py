"""How a department connects to what it has: shown once, again only for a reason that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane import audit, policy
from controlplane.audit import Actor
from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.services import Service, Snippet
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import account_secret
from controlplane.db import Database
from controlplane.errors import (
    ConfigurationMissing,
    Fault,
    Forbidden,
    InvalidInput,
    NotFound,
    StateConflict,
)
from controlplane.policy import Subject
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.text import without_control_characters

REASON_LIMIT = 200


@dataclass(frozen=True)
class Connection:
    """Secrets by name, and ways to connect with them filled in."""

    secrets: Mapping[str, str]
    snippets: tuple[tuple[Snippet, str], ...]


class Connections:
    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.clock = clock
        self.keyring = Keyring(settings.credential_keys)

    def show(
        self, subject: Subject, resource_id: str, reason: str = "", account: str = ""
    ) -> Connection:
        """The connection details, those of one of its further accounts where one is named; the
        first time they are shown no reason is asked for.

        Errors: NotFound, Forbidden, StateConflict (not delivered, or gone), InvalidInput (a reason
        is needed, or too long), ConfigurationMissing (the key that sealed them).
        """
        now = self.clock()
        reason = without_control_characters(reason).strip()
        with self.db.transaction() as session:
            resource = provisioning.lock_resource(session, resource_id)
            _check_allowed(subject, resource)
            service = self.catalogue.find(resource)
            if service is None or not (service.connection or service.secrets):
                raise NotFound
            if resource.delivered_at is None or resource.state in _GONE:
                raise StateConflict(state=resource.state)
            outputs = _outputs_for(resource, account)
            was_shown = credentials.was_shown(session, resource.id, account)
            _check_reason(reason, was_shown)
            secrets = credentials.show(session, self.keyring, resource.id, now, account)
            if account:
                secrets = {"password": secrets[account_secret(account)]}
            audit.record(
                session,
                Actor(subject.person_id, subject.name),
                "connection_shown",
                at=now,
                object_type="resource",
                object_id=resource.number,
                department_id=resource.department_id,
                again=was_shown,
                reason=reason,
                **({"account": account} if account else {}),
            )
            return Connection(secrets, _snippets(service, outputs, secrets))

    def was_shown(self, subject: Subject, resource_id: str, account: str = "") -> bool:
        """Whether the next look needs a reason. Errors: NotFound, Forbidden."""
        with self.db.read() as session:
            resource = session.get(Resource, resource_id)
            if resource is None:
                raise NotFound
            _check_allowed(subject, resource)
            _outputs_for(resource, account)
            return credentials.was_shown(session, resource_id, account)


_GONE = (ResourceState.DESTROYING, ResourceState.RETIRED, ResourceState.FAILED)


def _check_allowed(subject: Subject, resource: Resource) -> None:
    """Errors: NotFound, Forbidden."""
    path = resource.department.path
    if not policy.is_allowed(subject, "resource.view", department_path=path):
        raise NotFound
    if not policy.is_allowed(subject, "resource.connect", department_path=path):
        raise Forbidden


def _check_reason(reason: str, was_shown: bool) -> None:
    if was_shown and not reason:
        raise InvalidInput([Fault("reason_required", "reason")])
    if len(reason) > REASON_LIMIT:
        params = {"limit": REASON_LIMIT, "length": len(reason)}
        raise InvalidInput([Fault("field_too_long", "reason", params)])


def _outputs_for(resource: Resource, account: str) -> Mapping[str, Any]:
    """What was delivered, as one of its further accounts sees it. Errors: NotFound."""
    if not account:
        return resource.outputs
    for entry in resource.outputs.get("accounts") or ():
        if entry["name"] == account:
            return {**resource.outputs, "username": entry["username"]}
    raise NotFound


def _snippets(
    service: Service, outputs: Mapping[str, Any], secrets: Mapping[str, str]
) -> tuple[tuple[Snippet, str], ...]:
    try:
        return tuple(
            (snippet, service.snippet_text(snippet, outputs, secrets))
            for snippet in service.connection
        )
    except ExpressionError as error:
        raise ConfigurationMissing(what=str(error)) from error
