"""资源: what is held, one resource with its facts, how to connect, cost and history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request

from controlplane.backups.rules import cloned_states
from controlplane.backups.service import last_backup_that_failed
from controlplane.catalogue.services import Action, Service
from controlplane.certificate_jobs import SERVED
from controlplane.certificates.rules import SERVING, Certifies
from controlplane.certificates.service import certificates_of
from controlplane.clock import epoch_seconds
from controlplane.errors import CloudRefused, CloudUnavailable
from controlplane.policy import is_allowed
from controlplane.provisioning.leases import LeaseEnd, lease_end
from controlplane.provisioning.models import Resource
from controlplane.provisioning.pairs import machine_id_of
from controlplane.provisioning.rules import LIVE_STATES, PROTECTABLE, ResourceState
from controlplane.reports import month
from controlplane.reports import resources as reports
from controlplane.reports.backups import has_archived_log
from controlplane.reports.prices import costs_to_date, item_names, month_quotes
from controlplane.reports.resources import ResourceFilter, ResourceStory
from controlplane.reports.upgrades import standing_of
from controlplane.reports.utilisation import use_by_hour
from ui.facts import (
    address_of,
    connection_commands,
    fact_rows,
    output_rows,
    parameter_rows,
)
from ui.lists import page_number, page_url, zone_in_view
from ui.refusals import refusal_text
from ui.session import allow, control_plane, subject
from ui.use_charts import use_chart
from ui.views.certificates import certificate_state, reason_name
from ui.views.connecting import is_connectable
from ui.views.recovering import card_of
from ui.views.renewing import OFFERED_MONTHS, USUAL_MONTHS, renewable_months

resources_pages = Blueprint("resources", __name__)

CHART_DAYS = 30
#: Choices of the list's filter by the end of the lease, in days from now.
EXPIRES_WITHIN_DAYS = (30, 90)


@resources_pages.get("/resources")
def index() -> str:
    """Resources that the person may see, with what each costs."""
    allow("resource.view")
    args = request.args
    plane = control_plane()
    within = next((d for d in EXPIRES_WITHIN_DAYS if args.get("expires") == str(d)), 0)
    chosen = ResourceFilter(
        state=args.get("state", ""),
        service=args.get("service", ""),
        zone=zone_in_view(),
        department_id=args.get("department", default=0, type=int),
        text=args.get("q", "").strip(),
        expires_before=plane.clock() + timedelta(days=within) if within else None,
    )
    with plane.db.read() as session:
        page = reports.list_resources(session, subject(), chosen, page_number())
        return render_template(
            "resources/index.html",
            page=page,
            chosen=chosen,
            expires=str(within or ""),
            expires_within_days=EXPIRES_WITHIN_DAYS,
            renewal_months=OFFERED_MONTHS,
            usual_months=USUAL_MONTHS,
            page_url=page_url(),
            costs=costs_to_date(session, [r.id for r in page.rows], plane.clock()),
            states=[state.value for state in ResourceState],
            services=plane.catalogue.known,
            address_of=address_of,
        )


@resources_pages.get("/resources/<resource_id>")
def show(resource_id: str) -> str:
    """One resource with all that is known of it."""
    allow("resource.view")
    plane = control_plane()
    now = plane.clock()
    with plane.db.read() as session:
        story = reports.resource_story(session, subject(), resource_id)
        resource = story.resource
        by_day = month.resource_cost_by_day(session, resource.id, now, CHART_DAYS)
        service = plane.catalogue.find(resource)
        return render_template(
            "resources/show.html",
            story=story,
            row=resource,
            viewer_id=subject().person_id,
            service=service,
            upgrade=standing_of(session, plane.catalogue, resource),
            items=item_names(session),
            facts=fact_rows(session, resource, service),
            outputs=list(output_rows(resource.outputs)),
            machines_answer=plane.settings.machines_answer,
            commands=[] if (ours := is_machine_of_order(story)) else connection_commands(resource),
            is_platforms=ours,
            monthly=month_quotes(session, {"now": resource.capacity}, now)["now"],
            cost=costs_to_date(session, [resource.id], now)[resource.id],
            chart=chart_of(by_day),
            use=use_chart(use_by_hour(session, resource.id, story.intervals, epoch_seconds(now))),
            actions=(offered := actions_of(story)),
            of_certificate=[o for o in offered if is_of_certificate(o["action"], resource)],
            settings_actions=[
                (o["action"].code, o["action"])
                for o in offered
                if o["action"].inputs and not o["action"].certifies
            ],
            parameter_rows=parameter_rows(resource, service),
            renewable=renewable_months(resource),
            connectable=is_connectable(resource),
            has_logs=has_logs(resource),
            backups=card_of(resource),
            certificates=certificates_of(session, resource.id),
            certificate_state=certificate_state,
            reason_name=reason_name,
            can_back_up=can(resource, "backup.take"),
            has_moments=has_archived_log(session, plane.catalogue, resource),
            can_exchange=can_exchange(resource),
            can_clone=can_clone(resource),
            can_protect=can_protect(story),
            lease=lease_ahead(resource, service, now),
            destruction_waits=last_backup_that_failed(session, resource.id),
        )


def is_machine_of_order(story: ResourceStory) -> bool:
    """Whether a machine came with what runs on it: nobody but the platform logs in."""
    ordered = story.request.resource_id
    return ordered is not None and machine_id_of(ordered) == story.resource.id


@resources_pages.get("/resources/<resource_id>/logs")
def logs(resource_id: str) -> str:
    """What the resource's pods wrote last."""
    allow("resource.logs")
    plane = control_plane()
    with plane.db.read() as session:
        resource = reports.find_resource(session, subject(), resource_id)
        said = ""
        try:
            found = plane.logs.read(subject(), resource_id)
        except (CloudUnavailable, CloudRefused) as error:
            found, said = [], refusal_text(error)
        return render_template("resources/logs.html", row=resource, logs=found, said=said)


def can(resource: Resource, action: str) -> bool:
    """Whether the person may do it to this resource, which runs or is stopped."""
    return resource.state in ("active", "stopped") and is_allowed(
        subject(), action, department_path=resource.department.path
    )


def has_logs(resource: Resource) -> bool:
    """Whether the person may look at what its pods write, and there are any."""
    path = resource.department.path
    may_look = is_allowed(subject(), "resource.logs", department_path=path)
    return may_look and control_plane().logs.are_kept_of(resource)


def can_exchange(resource: Resource) -> Action | None:
    """The action by which two resources of this service exchange their data, if it may be done."""
    service = control_plane().catalogue.find(resource)
    if service is None or service.backups_of(resource.spec) is None:
        return None
    action = service.action_of_kind("exchange")
    if action is None or resource.state not in action.states:
        return None
    return action if can(resource, "backup.restore") else None


def can_clone(resource: Resource) -> bool:
    """Whether the person may ask for another resource that begins with this one's data."""
    service = control_plane().catalogue.get(resource.service)
    return (
        service is not None
        and service.can_clone(resource.spec)
        and resource.state in cloned_states(service.engine_of(resource.spec))
        and can(resource, "request.create")
    )


def lease_ahead(resource: Resource, service: Service | None, now: datetime) -> LeaseEnd | None:
    """What the end of the lease will bring, from 30 days before it on."""
    if service is None or resource.expires_at is None:
        return None
    if resource.state not in ("active", "stopped", "changing", "retiring"):
        return None
    if resource.state == "retiring" and resource.lease_suspended_at is None:
        return None
    if resource.expires_at - now > timedelta(days=EXPIRES_WITHIN_DAYS[0]):
        return None
    return lease_end(
        resource.expires_at,
        resource.lease_suspended_at,
        grace_days=service.lease_grace_days,
        suspended_days=service.lease_suspended_days,
    )


def can_protect(story: ResourceStory) -> bool:
    """Whether the person may protect the resource now, or ask for it to be protected no more."""
    row = story.resource
    return (
        is_allowed(subject(), "resource.protect", department_path=row.department.path)
        and (row.state in PROTECTABLE or row.is_protected)
        and row.state in LIVE_STATES
        and story.awaited is None
    )


def is_of_certificate(action: Action, resource: Resource) -> bool:
    """Whether an action stands beside the certificate that the resource serves with."""
    if action.certifies == Certifies.RENEW:
        return True
    return action.certifies in SERVING and bool(resource.outputs.get(SERVED))


def chart_of(by_day: list[tuple[str, int]]) -> dict[str, Any]:
    """Cost by day for charts.js, in yuan."""
    return {
        "kind": "bars",
        "unit": "¥",
        "labels": [day for day, _ in by_day],
        "series": [{"name": "¥", "values": [round(cost / 1e6, 2) for _, cost in by_day]}],
    }


def actions_of(story: ResourceStory) -> list[dict[str, Any]]:
    """What the person may do with the resource in its state, in the order declared."""
    resource = story.resource
    service = control_plane().catalogue.find(resource)
    if service is None:
        return []
    path = resource.department.path
    needs = {
        "change": "resource.change",
        "operate": "resource.operate",
        "retire": "resource.retire",
    }
    offered = []
    for action in service.actions.values():
        permission = needs.get(action.kind)
        if action.is_internal or permission is None:
            continue
        if not service.offers(action, resource.spec, resource.outputs):
            continue
        if not is_allowed(subject(), permission, department_path=path):
            continue
        if action.clears and not any(resource.spec.get(name) for name in action.clears):
            continue  # nothing to detach
        states = ("active", "stopped") if action.kind == "retire" else action.states
        if resource.state in states and not story.busy:
            offered.append({"action": action, "kind": action.kind})
    return offered
