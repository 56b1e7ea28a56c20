"""Asking: the form of a new or a changed resource, its live summary, the check page, the draft."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from controlplane.backups.rules import CLONE_OF, RESTORE_FROM
from controlplane.catalogue.forms import from_html
from controlplane.catalogue.services import Action, Service
from controlplane.errors import Fault, InvalidInput, NotFound
from controlplane.pipeline import Ask
from controlplane.preparing import Preparation
from controlplane.reports import requests as request_reports
from controlplane.reports.backups import find_backup
from controlplane.reports.directory import departments_for
from controlplane.reports.prices import item_names, plan_prices
from controlplane.reports.resources import find_resource
from ui.declared_forms import FormContext, fault_links, field_groups
from ui.facts import answer_text
from ui.forms import Choice, FormField
from ui.preferences import current_preferences
from ui.presentation import name_of, zone_name
from ui.session import allow, control_plane, subject

asking_pages = Blueprint("asking", __name__)

#: Fields of the page itself; everything else posted belongs to the service's form.
OWN_FIELDS = {
    "csrf_token", "zone", "department_id", "submission_key", "request_id", "resource_id",
    "_add", "_remove", "_check", "_draft", "_edit", "_submit",
}  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """One form in hand: the service's action, and the ask as typed so far."""

    service: Service
    action: Action
    ask: Ask

    @property
    def is_change(self) -> bool:
        return self.action.kind == "change"


@asking_pages.get("/catalogue/<service_code>/apply")
def apply(service_code: str) -> str:
    """An empty form, that of the draft or returned request in `?request=`, or one that restores the
    backup in `?restore_from=` or clones the resource in `?clone_of=`."""
    allow("request.create")
    service = service_of(service_code)
    request_id = request.args.get("request", type=int)
    if request_id is not None:
        return _continue(request_id)
    zone = current_preferences().zone
    ask = Ask(
        service=service.code,
        action="provision",
        zone=zone if zone in service.zones else service.zones[0],
        form=prefilled(service),
        submission_key=secrets.token_urlsafe(16),
        department_id=subject().department_id,
    )
    number = request.args.get(RESTORE_FROM)
    if number:
        ask = restoring(ask, service, number)
    elif request.args.get(CLONE_OF):
        ask = cloning(ask, service, request.args[CLONE_OF])
    return show_form(Asking(service, service.actions["provision"], ask), show_faults=False)


def restoring(ask: Ask, service: Service, number: str) -> Ask:
    """The form of another resource like that which the backup was taken from. Errors: NotFound."""
    with control_plane().db.read() as session:
        source = find_backup(session, subject(), number[:24]).resource
    if source.service != service.code or RESTORE_FROM not in service.properties:
        raise NotFound
    like_it = {k: v for k, v in service.form_of(source.spec).items() if k != CLONE_OF}
    form = {**ask.form, **like_it, RESTORE_FROM: number}
    return dataclasses.replace(ask, zone=source.zone, form=form, department_id=source.department_id)


def cloning(ask: Ask, service: Service, resource_id: str) -> Ask:
    """The form of another resource like one that is there, with its data. Errors: NotFound."""
    with control_plane().db.read() as session:
        source = find_resource(session, subject(), resource_id[:36])
    if source.service != service.code or CLONE_OF not in service.properties:
        raise NotFound
    like_it = {k: v for k, v in service.form_of(source.spec).items() if k != RESTORE_FROM}
    form = {**ask.form, **like_it, CLONE_OF: source.number}
    return dataclasses.replace(ask, zone=source.zone, form=form, department_id=source.department_id)


def prefilled(service: Service) -> dict[str, Any]:
    """What a new form holds before anybody typed: defaults, and a plan that is offered."""
    form = {n: s["default"] for n, s in service.properties.items() if "default" in s}
    offered = service.plans_on(service.offered_engines)
    if "plan" in service.properties and offered and form.get("plan") not in offered:
        form["plan"] = next(iter(offered))
    return form


def _continue(request_id: int) -> str:
    """The form of a draft or returned request, as it was left."""
    with control_plane().db.read() as session:
        row = request_reports.find_request(session, subject(), request_id)
        if row.state not in ("draft", "returned"):
            raise NotFound
        ask = Ask(
            service=row.service,
            action=row.action,
            zone=row.zone,
            form=row.form,
            resource_id=row.resource_id if row.action != "provision" else None,
            request_id=row.id,
            submission_key=row.submission_key,
            department_id=row.department_id,
        )
    service = service_of(ask.service, ask.resource_id)
    return show_form(Asking(service, service.actions[ask.action], ask), show_faults=False)


@asking_pages.get("/resources/<resource_id>/change/<action_code>")
def change(resource_id: str, action_code: str) -> str:
    """The form of a change, prefilled from the present state."""
    allow("resource.change")
    with control_plane().db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        service = service_of(resource.service, resource.id)
        action = service.action(action_code)
        if action is None or action.kind != "change":
            raise NotFound
        present = service.form_of(resource.spec)
        ask = Ask(
            service=service.code,
            action=action.code,
            zone=resource.zone,
            form={name: present[name] for name in action.fields if name in present},
            resource_id=resource.id,
            submission_key=secrets.token_urlsafe(16),
            department_id=resource.department_id,
        )
    return show_form(Asking(service, action, ask), show_faults=False)


@asking_pages.post("/catalogue/<service_code>/<action_code>/ask")
def take(service_code: str, action_code: str) -> str | tuple[str, int] | BaseResponse:
    """Whatever button of the form or the check page was pressed."""
    allow("request.create")
    asking, refused = with_upload(read_asking(service_code, action_code))
    if refused:
        found = control_plane().pipeline.prepare(subject(), asking.ask).faults
        others = [fault for fault in found if fault.field != refused[0].field]
        return show_form(asking, faults=(*refused, *others)), 422
    if "_add" in request.form or "_remove" in request.form:
        return show_form(with_rows_changed(asking), show_faults=False)
    if "_edit" in request.form:
        return show_form(asking, show_faults=False)
    if "_draft" in request.form:
        # Without the key: a draft saved twice from the same form is two drafts, not a conflict.
        draft = dataclasses.replace(asking.ask, submission_key=None)
        request_id = control_plane().pipeline.save_draft(subject(), draft)
        flash(gettext("草稿已保存，尚未提交。"), "success")
        return redirect(url_for("requests.show", request_id=request_id))
    preparation = control_plane().pipeline.prepare(subject(), asking.ask)
    if preparation.faults:
        return show_form(asking, preparation=preparation), 422
    if "_submit" not in request.form:
        return show_check(asking, preparation)
    try:
        request_id = control_plane().pipeline.submit_request(subject(), asking.ask)
    except InvalidInput as refusal:
        return show_form(asking, faults=refusal.faults), refusal.status
    flash(gettext("已提交。配额已预占，审批单位会收到待办。"), "success")
    return redirect(url_for("requests.show", request_id=request_id))


@asking_pages.post("/catalogue/<service_code>/<action_code>/summary")
def summary(service_code: str, action_code: str) -> str:
    """The live summary of a form being filled; changes nothing."""
    allow("request.create")
    asking = read_asking(service_code, action_code)
    preparation = control_plane().pipeline.prepare(subject(), asking.ask)
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "asking/_summary.html",
            asking=asking,
            preparation=preparation,
            items=item_names(session),
        )


def service_of(code: str, resource_id: str | None = None) -> Service:
    """What is offered now; for a change what the resource was built by. Errors: NotFound."""
    plane = control_plane()
    if not resource_id:
        service = plane.catalogue.get(code)
    else:
        with plane.db.read() as session:
            service = plane.catalogue.find(find_resource(session, subject(), resource_id[:36]))
    if service is None or service.code != code:
        raise NotFound
    return service


def read_asking(service_code: str, action_code: str) -> Asking:
    """The posted form as an Ask. Errors: NotFound."""
    service = service_of(service_code, request.form.get("resource_id"))
    action = service.action(action_code)
    if action is None or action.kind not in ("create", "change"):
        raise NotFound
    typed = [(n, v) for n, v in request.form.items(multi=True) if n not in OWN_FIELDS]
    ask = Ask(
        service=service.code,
        action=action.code,
        zone=request.form.get("zone", ""),
        form=from_html(service.form_schema(action), typed),
        resource_id=request.form.get("resource_id") or None,
        request_id=request.form.get("request_id", type=int),
        submission_key=request.form.get("submission_key", "")[:64] or None,
        department_id=request.form.get("department_id", type=int),
    )
    return Asking(service, action, ask)


def with_upload(asking: Asking) -> tuple[Asking, list[Fault]]:
    """The form with the archive that came along named in it, or everything wrong with that one."""
    name = asking.service.upload_field
    sent = request.files.get(f"{name}.file") if name in posted_names(asking) else None
    if name is None or sent is None or not sent.filename:
        return asking, []
    uploads = control_plane().uploads
    try:
        upload = uploads.receive(
            subject(), uploading_department(asking.ask), sent.filename, sent.stream
        )
    except InvalidInput as refusal:
        return asking, [dataclasses.replace(fault, field=name) for fault in refusal.faults]
    form = {**asking.ask.form, name: upload.sha256}
    return dataclasses.replace(asking, ask=dataclasses.replace(asking.ask, form=form)), []


def posted_names(asking: Asking) -> set[str]:
    """Fields of the action's form in which a file may come."""
    properties = asking.service.form_schema(asking.action)["properties"]
    return set(properties) - set(asking.action.chooses)


def uploading_department(ask: Ask) -> int | None:
    """Whose archive it becomes: the one that the form is for."""
    if ask.resource_id is None:
        return ask.department_id
    with control_plane().db.read() as session:
        return find_resource(session, subject(), ask.resource_id).department_id


def with_rows_changed(asking: Asking) -> Asking:
    """The form with one row more or less, for browsers without script."""
    form = dict(asking.ask.form)
    if added := request.form.get("_add"):
        form[added] = [*form.get(added, []), {}]
    if removed := request.form.get("_remove"):
        name, _, index = removed.partition(".")
        rows = list(form.get(name, []))
        if index.isdecimal() and int(index) < len(rows):
            del rows[int(index)]
        form[name] = rows
    return dataclasses.replace(asking, ask=dataclasses.replace(asking.ask, form=form))


def show_form(
    asking: Asking,
    *,
    preparation: Preparation | None = None,
    faults: tuple[Fault, ...] | None = None,
    show_faults: bool = True,
) -> str:
    """The form page, with every fault named on top and at its field."""
    plane = control_plane()
    preparation = preparation or plane.pipeline.prepare(subject(), asking.ask)
    shown = faults if faults is not None else preparation.faults
    shown = shown if show_faults else ()
    with plane.db.read() as session:
        prices = plan_prices(session, asking.service, plane.clock())
        context = FormContext(
            asking.ask.form,
            shown,
            preparation.choices,
            prices,
            asking.action.chooses,
            plane.settings.upload_max_mib,
        )
        groups = field_groups(asking.service, asking.action, context)
        own = own_fields(session, asking, shown)
        return render_template(
            "asking/form.html",
            asking=asking,
            preparation=preparation,
            items=item_names(session),
            groups=groups,
            own=own,
            faults=fault_links(shown, groups, {f.name: f.label for f in own}),
        )


def own_fields(session: Session, asking: Asking, faults: tuple[Fault, ...]) -> list[FormField]:
    """Zone and department: asked of every new resource, fixed for a change."""
    if asking.is_change:
        return []
    zones = tuple(Choice(z, zone_name(z)) for z in asking.service.zones)
    fields = [
        FormField(
            "zone", "segments", gettext("网络域"), asking.ask.zone, choices=zones,
            hint=gettext("各域资源池相互隔离，提交后不能更改"),
            errors=[gettext("请选择网络域") for f in faults if f.field == "zone"],
        )
    ]  # fmt: skip
    departments = departments_for(session, subject(), "request.create")
    if len(departments) > 1:
        chosen = asking.ask.department_id or subject().department_id
        choices = tuple(Choice(str(d.id), name_of(d)) for d in departments)
        fields.append(
            FormField(
                "department_id", "select", gettext("使用部门"), chosen, choices=choices,
                hint=gettext("占用该部门配额，费用计入该部门"),
            )
        )  # fmt: skip
    return fields


def show_check(asking: Asking, preparation: Preparation) -> str:
    """The check page: every answer, what it costs, who decides."""
    with control_plane().db.read() as session:
        return render_template(
            "asking/check.html",
            asking=asking,
            preparation=preparation,
            items=item_names(session),
            answers=answers_of(asking, preparation),
            hidden=list(posted_fields(asking.ask)),
        )


def answers_of(asking: Asking, preparation: Preparation) -> list[tuple[str, list[tuple[str, str]]]]:
    """The filled form in words, by group."""
    context = FormContext(asking.ask.form, (), preparation.choices)
    return [
        (group.title, [(f.label, answer_text(f)) for f in group.fields])
        for group in field_groups(asking.service, asking.action, context)
    ]


def posted_fields(ask: Ask) -> list[tuple[str, str]]:
    """The ask as hidden fields, so that nothing typed is lost between form and check page."""
    fields = [
        (name, value)
        for name, value in (
            ("zone", ask.zone),
            ("department_id", ask.department_id),
            ("resource_id", ask.resource_id),
            ("request_id", ask.request_id),
            ("submission_key", ask.submission_key),
        )
        if value is not None
    ]
    for name, value in ask.form.items():
        if isinstance(value, list):
            for index, row in enumerate(value):
                fields += [(f"{name}.{index}.{column}", v) for column, v in row.items()]
        else:
            fields.append((name, value))
    return [(name, _posted(value)) for name, value in fields]


def _posted(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
