"""The same done with several resources at once: each is tried, and what became of each is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext
from werkzeug.wrappers import Response as BaseResponse

from controlplane.errors import DomainError, NotFound
from controlplane.provisioning.models import Resource
from controlplane.reports.resources import find_resources
from ui import filters
from ui.refusals import refusal_in_full
from ui.session import allow, control_plane, subject
from ui.views.renewing import lease_in, typed_months

batch_pages = Blueprint("batch", __name__)

#: As many as a page of the list shows.
MOST = 50


@dataclass(frozen=True)
class Told:
    """What became of one resource; `resource` None: it is not for this person."""

    resource: Resource | None
    is_done: bool
    text: str


@batch_pages.post("/resources/batch")
def act() -> BaseResponse | str:
    """Do what the button says with every ticked resource."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise NotFound
    title, permission, attempt = ACTIONS[action]
    allow(permission)
    ids = list(dict.fromkeys(request.form.getlist("resource_id")))[:MOST]
    if not ids:
        flash(gettext("请先勾选资源。"), "warning")
        return redirect(back_url())
    with control_plane().db.read() as session:
        found = find_resources(session, subject(), ids)
    told = [tell(found.get(resource_id), attempt) for resource_id in ids]
    return render_template(
        "resources/batch.html",
        title=title,
        told=told,
        done=sum(one.is_done for one in told),
        back_url=back_url(),
    )


def back_url() -> str:
    """The list with the filters it had."""
    return url_for("resources.index", **request.args.to_dict())


def tell(resource: Resource | None, attempt: Callable[[Resource], Told]) -> Told:
    """Tries one; what refuses it stops none of the others."""
    try:
        if resource is None:
            raise NotFound
        return attempt(resource)
    except DomainError as refusal:
        return Told(resource, False, refusal_in_full(refusal))


def _operate(action_code: str) -> Callable[[Resource], Told]:
    def attempt(resource: Resource) -> Told:
        service = control_plane().catalogue.find(resource)
        if service is None or service.action(action_code) is None:
            return Told(resource, False, gettext("此服务没有这项操作"))
        control_plane().operations.operate_resource(subject(), resource.id, action_code, {})
        return Told(resource, True, gettext("已开始"))

    return attempt


def _renew(resource: Resource) -> Told:
    seen = lease_in(request.form.get(f"lease.{resource.id}", ""))
    if seen is None:
        return Told(resource, False, gettext("没有使用期限"))
    until = control_plane().leases.renew_resource(subject(), resource.id, typed_months(), seen)
    return Told(resource, True, gettext("已续期到 %(day)s", day=filters.local_date(until)))


#: action -> (title, permission, how one is tried)
ACTIONS: dict[str, tuple[Any, str, Callable[[Resource], Told]]] = {
    "power_on": (lazy_gettext("批量启动"), "resource.operate", _operate("power_on")),
    "power_off": (lazy_gettext("批量停止"), "resource.operate", _operate("power_off")),
    "renew": (lazy_gettext("批量续期"), "resource.renew", _renew),
}
