"""Doing something with a resource: each action says its effect on a page of its own first."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from controlplane.catalogue.forms import from_html
from controlplane.catalogue.services import Action, Service
from controlplane.choices import live_choices
from controlplane.errors import Fault, Forbidden, InvalidInput, NotFound
from controlplane.policy import is_allowed
from controlplane.provisioning.models import Resource
from controlplane.reports.prices import month_quotes
from controlplane.reports.resources import find_resource, standing_on
from ui.declared_forms import FormContext, fault_links, field_groups
from ui.presentation import words
from ui.session import allow, control_plane, subject

operating_pages = Blueprint("operating", __name__)

NAME_FIELD = "confirm_name"


@operating_pages.get("/resources/<resource_id>/actions/<action_code>")
def confirm(resource_id: str, action_code: str) -> str:
    """What the action will do and cost; nothing happens yet."""
    allow("resource.operate")
    return show_confirmation(resource_id, action_code, ())


@operating_pages.post("/resources/<resource_id>/actions/<action_code>")
def act(resource_id: str, action_code: str) -> BaseResponse | tuple[str, int]:
    """Start the action, or show every fault."""
    allow("resource.operate")
    service, action, kind = declared_action(resource_id, action_code)
    operations = control_plane().operations
    try:
        if kind == "retire":
            awaited = operations.retire_resource(subject(), resource_id, typed_name())
            said = (
                gettext("已进入待销毁。宽限期内可以恢复。")
                if awaited is None
                else awaits_second_person()
            )
        elif kind == "retire_now":
            awaited = operations.retire_now(subject(), resource_id, typed_name())
            said = gettext("已开始销毁。") if awaited is None else awaits_second_person()
        else:
            form = from_html(service.form_schema(action), request.form.items(multi=True))
            asked = {*action.fields, *action.inputs}
            known = {n: v for n, v in form.items() if n in asked}
            operations.operate_resource(subject(), resource_id, action.code, known)
            said = gettext("已开始：%(action)s。", action=words(action.name))
    except InvalidInput as refusal:
        return show_confirmation(resource_id, action_code, refusal.faults), refusal.status
    flash(said, "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


@operating_pages.post("/resources/<resource_id>/keep")
def keep(resource_id: str) -> BaseResponse:
    """Think better of a retirement within its grace period."""
    control_plane().operations.cancel_retirement(subject(), resource_id)
    flash(gettext("已取消销毁，资源保留。"), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def awaits_second_person() -> str:
    return gettext("资源受保护：已提交，等待另一人复核。")


def typed_name() -> str:
    """What was typed to confirm a destruction."""
    return request.form.get(NAME_FIELD, "")


def declared_action(resource_id: str, action_code: str) -> tuple[Service, Action, str]:
    """The service, its action and how it is run. `retire_now` is the engineer's way of retiring.
    Errors: NotFound."""
    with control_plane().db.read() as session:
        resource = find_resource(session, subject(), resource_id)
    service = control_plane().catalogue.find(resource)
    code = "retire" if action_code == "retire_now" else action_code
    action = service.action(code) if service else None
    if service is None or action is None or action.kind not in ("operate", "retire"):
        raise NotFound
    return service, action, "retire_now" if action_code == "retire_now" else action.kind


def show_confirmation(resource_id: str, action_code: str, faults: tuple[Fault, ...]) -> str:
    """The page that says what will happen, with the action's own fields if it has any."""
    service, action, kind = declared_action(resource_id, action_code)
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        check_permission(resource, kind)
        stands_on = service.engine_of(resource.spec)
        choices = live_choices(
            session,
            service,
            action,
            resource.department,
            resource.zone,
            stands_on,
            resource.outputs,
        )
        present = resource.outputs.get(action.prefilled_from or "") or {}
        form = {**service.form_of(resource.spec), **present, **from_form(service, action)}
        context = FormContext(form, faults, choices)
        asks = action.fields or action.inputs
        groups = field_groups(service, action, context) if asks else []
        for group in groups:
            for field in group.fields:
                field.required = True  # an operation asks only for what it needs
        return render_template(
            "resources/confirm.html",
            row=resource,
            action=action,
            kind=kind,
            action_code=action_code,
            groups=groups,
            standing=standing_on(session, resource.id),
            monthly=month_quotes(session, {"now": resource.capacity}, plane.clock())["now"],
            faults=fault_links(faults, groups, {NAME_FIELD: gettext("名称")}),
        )


def from_form(service: Service, action: Action) -> dict[str, object]:
    """What was typed, when the page is shown again with its faults; or what the link to it says."""
    if request.method != "POST":
        return {n: v[:40] for n, v in request.args.items() if n in action.inputs}
    return from_html(service.form_schema(action), request.form.items(multi=True))


def check_permission(resource: Resource, kind: str) -> None:
    """Errors: Forbidden."""
    needed = {"retire": "resource.retire", "retire_now": "resource.retire_now"}
    action = needed.get(kind, "resource.operate")
    if not is_allowed(subject(), action, department_path=resource.department.path):
        raise Forbidden
