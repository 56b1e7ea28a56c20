"""Renewing a lease: by how long, until when, at what cost, on a page of its own first."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from controlplane.errors import Fault, Forbidden, InvalidInput
from controlplane.policy import is_allowed
from controlplane.provisioning.leases import is_renewable
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import months_renewable, renewed_until
from controlplane.reports.prices import month_quotes
from controlplane.reports.resources import find_resource
from ui import filters
from ui.declared_forms import FieldGroup, errors_at, fault_links
from ui.forms import Choice, FormField
from ui.session import allow, control_plane, subject

renewing_pages = Blueprint("renewing", __name__)

OFFERED_MONTHS = (1, 3, 6, 12, 24)
USUAL_MONTHS = 12


@renewing_pages.get("/resources/<resource_id>/renewal")
def form(resource_id: str) -> str:
    """By how many months the lease may be prolonged; nothing happens yet."""
    allow("resource.renew")
    return show_form(resource_id, ())


@renewing_pages.post("/resources/<resource_id>/renewal")
def renew(resource_id: str) -> BaseResponse | tuple[str, int]:
    """Prolong the lease, or show every fault."""
    allow("resource.renew")
    seen = lease_in(request.form.get("lease_seen", ""))
    if seen is None:
        raise BadRequest
    try:
        until = control_plane().leases.renew_resource(subject(), resource_id, typed_months(), seen)
    except InvalidInput as refusal:
        return show_form(resource_id, refusal.faults), refusal.status
    flash(gettext("已续期到 %(day)s。", day=filters.local_date(until)), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def typed_months() -> int:
    """The months asked for; what is not a number is none."""
    return request.form.get("months", default=0, type=int)


def lease_in(text: str) -> datetime | None:
    """The end of the lease that the page in hand showed; None where it holds none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def renewable_months(resource: Resource) -> int:
    """By how many months the person may renew the resource now; 0: not at all."""
    plane = control_plane()
    service = plane.catalogue.find(resource)
    path = resource.department.path
    if (
        service is None
        or resource.expires_at is None
        or not is_renewable(resource.state, is_suspended=resource.lease_suspended_at is not None)
        or not is_allowed(subject(), "resource.renew", department_path=path)
    ):
        return 0
    return months_renewable(resource.expires_at, plane.clock(), service.lease_max_months)


def show_form(resource_id: str, faults: tuple[Fault, ...]) -> str:
    """The page with its choices. Errors: NotFound, Forbidden."""
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        path = resource.department.path
        if not is_allowed(subject(), "resource.renew", department_path=path):
            raise Forbidden
        monthly = month_quotes(session, {"now": resource.capacity}, plane.clock())["now"]
        field = months_field(resource, monthly, faults)
        group = FieldGroup("", [field])
        return render_template(
            "resources/renewal.html",
            row=resource,
            field=field,
            monthly=monthly,
            faults=fault_links(faults, [group], {}),
        )


def months_field(resource: Resource, monthly: int, faults: tuple[Fault, ...]) -> FormField:
    """The choices as cards: so many months, until when, for how much; without any, not at all."""
    longest = renewable_months(resource)
    offered = sorted(
        {n for n in OFFERED_MONTHS if n <= longest} | ({longest} if longest else set())
    )
    typed = typed_months() if request.method == "POST" else 0
    return FormField(
        name="months",
        kind="cards",
        label=gettext("续多久"),
        value=typed or (USUAL_MONTHS if USUAL_MONTHS in offered else longest),
        width="full",
        choices=tuple(choice_of(resource, months, monthly) for months in offered),
        errors=errors_at(faults, "months"),
    )


def choice_of(resource: Resource, months: int, monthly: int) -> Choice:
    """One card."""
    assert resource.expires_at is not None
    until = renewed_until(resource.expires_at, months, control_plane().clock())
    return Choice(
        str(months),
        ngettext("%(num)s 个月", "%(num)s 个月", months),
        detail=gettext("到 %(day)s", day=filters.local_date(until)),
        price=gettext("共 %(money)s", money=filters.money(months * monthly)),
    )
