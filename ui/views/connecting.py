"""How to connect, with its secrets: shown when asked for, and again only for a reason."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask_babel import gettext

from controlplane.connections import REASON_LIMIT, Connection
from controlplane.errors import Fault, InvalidInput
from controlplane.policy import is_allowed
from controlplane.provisioning.models import Resource
from controlplane.reports.resources import find_resource
from ui.declared_forms import FieldGroup, errors_at, fault_links
from ui.forms import FormField
from ui.session import allow, control_plane, subject

connecting_pages = Blueprint("connecting", __name__)


@connecting_pages.get("/resources/<resource_id>/connection")
def ask(resource_id: str) -> str:
    """What will be shown, and the question for what where it was shown before."""
    allow("resource.connect")
    return page(resource_id, (), None)


@connecting_pages.post("/resources/<resource_id>/connection")
def show(resource_id: str) -> str | tuple[str, int]:
    """The details themselves: by POST, so that no link, prefetch or history shows them again."""
    allow("resource.connect")
    try:
        connection = control_plane().connections.show(
            subject(), resource_id, request.form.get("reason", ""), account_in_view()
        )
    except InvalidInput as refusal:
        return page(resource_id, refusal.faults, None), refusal.status
    return page(resource_id, (), connection)


def account_in_view() -> str:
    """One of the further accounts of the resource; "" are its own."""
    return request.args.get("account", "")[:40]


def page(resource_id: str, faults: tuple[Fault, ...], connection: Connection | None) -> str:
    plane = control_plane()
    account = account_in_view()
    needs_reason = plane.connections.was_shown(subject(), resource_id, account)
    field = FormField(
        name="reason",
        kind="text",
        label=gettext("再次查看的理由"),
        hint=gettext("记入审计"),
        value=request.form.get("reason", ""),
        width="full",
        max_length=REASON_LIMIT,
        required=True,
        errors=errors_at(faults, "reason"),
    )
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        return render_template(
            "resources/connection.html",
            row=resource,
            field=field if needs_reason else None,
            connection=connection,
            account=account,
            faults=fault_links(faults, [FieldGroup("", [field])], {}),
        )


def is_connectable(resource: Resource) -> bool:
    """Whether the person may ask for the details of this resource now."""
    service = control_plane().catalogue.find(resource)
    return (
        service is not None
        and bool(service.connection or service.secrets)
        and resource.delivered_at is not None
        and resource.state not in ("destroying", "retired", "failed")
        and is_allowed(subject(), "resource.connect", department_path=resource.department.path)
    )
