"""工作台: what waits for the person, by role."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy.orm import Session

from controlplane.backups.store import Room
from controlplane.clock import LOCAL_ZONE
from controlplane.policy import Role, Subject
from controlplane.provisioning.models import Resource
from controlplane.reports import backups, certificates, month, pools, requests, resources
from controlplane.reports.reminders import reminder
from controlplane.reports.requests import RequestFilter
from ui.frame import waiting_now
from ui.session import allow, control_plane, may, subject

home_pages = Blueprint("home", __name__)

SHOWN = 6


@home_pages.get("/")
def index() -> str:
    """Each role finds its own cards; a person with two roles finds both."""
    allow("home.view")
    person = subject()
    plane = control_plane()
    with plane.db.read() as session:
        cards: dict[str, Any] = {"waiting": waiting_now(person), "now": plane.clock()}
        if person.office_ids:
            cards["to_decide"] = requests.to_decide(session, person).rows[:SHOWN]
        if may("request.create"):
            cards |= _applicant_cards(session, person)
        if may("resource.operate"):
            cards["filling"] = resources.filling_up(session, person)
            cards["held"] = {d.resource_id for d in cards["filling"] if is_held(d.resource)}
        if may("resource.second"):
            cards["asks"] = resources.asks_for(session, person)
        if may("job.manage"):
            cards["failed_jobs"] = resources.list_jobs(session, state="failed").rows[:SHOWN]
            cards["attention"] = backups.to_attend(session, plane.catalogue, plane.clock())
            cards["store_room"] = room_of_store()
            cards["running_jobs"] = resources.list_jobs(session, state="running").rows[:SHOWN]
        if may("pool.view"):
            cards["city"] = pools.city_totals(session)
        if person.has(Role.FINANCE, Role.SUPERVISOR):
            cards["month"] = _month(session, person)
        return render_template("home/index.html", **cards)


def is_held(resource: Resource) -> bool:
    """Whether the platform closes it for writing when it is full."""
    service = control_plane().catalogue.find(resource)
    plan = service.disk_of(resource.spec) if service else None
    return plan is not None and plan.held_with is not None


def room_of_store() -> Room | None:
    """The backup store's disk where it is getting full, or nothing."""
    plane = control_plane()
    room = plane.recovery.store.room()
    return room if room.free_percent < plane.settings.backup_store_warn_percent else None


def _applicant_cards(session: Session, person: Subject) -> dict[str, Any]:
    chosen = RequestFilter(open_only=True)
    own = [
        quota
        for quota in pools.list_quotas(session, person)
        if quota.department.id == person.department_id
    ]
    now = control_plane().clock()
    return {
        "open_requests": requests.list_requests(session, person, chosen).rows[:SHOWN],
        "quotas": own,
        "expiring": resources.expiring_soon(session, person, now),
        "ending": certificates.ending_soon(session, person, now),
        "reminder": partial(reminder, now=now),
    }


def _month(session: Session, person: Subject) -> month.Month:
    now = control_plane().clock()
    local = now.astimezone(LOCAL_ZONE)
    return month.month_of(session, person, local.year, local.month, now)
