"""Backups of a resource: taking one, restoring one, exchanging two instances, proving, schedule."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from controlplane.backups.logs import span_of
from controlplane.backups.models import Backup, BackupSchedule
from controlplane.backups.service import plan_of
from controlplane.clock import local_moment, local_second
from controlplane.errors import Fault, Forbidden, InvalidInput, NotFound
from controlplane.policy import is_allowed
from controlplane.provisioning.models import Resource
from controlplane.reports import backups as reports
from controlplane.reports.backups import BackupCard
from controlplane.reports.resources import find_resource
from ui.declared_forms import FieldGroup, errors_at, fault_links
from ui.forms import Choice, FormField
from ui.session import allow, control_plane, subject
from ui.views.operating import NAME_FIELD, awaits_second_person, typed_name

recovering_pages = Blueprint("recovering", __name__)


def card_of(resource: Resource) -> BackupCard | None:
    """For the resource's page; None where its service has none or the person may not see them."""
    plane = control_plane()
    service = plane.catalogue.find(resource)
    path = resource.department.path
    plan = service.backups_of(resource.spec) if service else None
    if plan is None or not is_allowed(subject(), "backup.view", department_path=path):
        return None
    with plane.db.read() as session:
        return reports.backup_card(session, resource, plan, plane.clock())


@recovering_pages.post("/resources/<resource_id>/backups")
def back_up(resource_id: str) -> BaseResponse:
    """A backup now."""
    allow("backup.take")
    number = control_plane().recovery.back_up_now(subject(), resource_id)
    flash(gettext("已开始备份：%(number)s。", number=number), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


@recovering_pages.post("/resources/<resource_id>/drill")
def drill(resource_id: str) -> BaseResponse:
    """The newest backup is proven now."""
    allow("backup.prove")
    control_plane().recovery.drill_now(subject(), resource_id)
    flash(gettext("已开始恢复演练。"), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


# --- restoring ----------------------------------------------------------------------------------


@recovering_pages.get("/resources/<resource_id>/backups/<number>")
def choose(resource_id: str, number: str) -> str:
    """What can be done with a backup: into a new instance, or in place; nothing happens yet."""
    allow("backup.view")
    return restore_page(resource_id, number, ())


@recovering_pages.post("/resources/<resource_id>/backups/<number>")
def restore(resource_id: str, number: str) -> BaseResponse | tuple[str, int]:
    """Restore in place, or show every fault."""
    allow("backup.restore")
    try:
        recovery = control_plane().recovery
        ask = recovery.restore_in_place(subject(), resource_id, number, typed_name())
    except InvalidInput as refusal:
        return restore_page(resource_id, number, refusal.faults), refusal.status
    begun = gettext("已开始：先备份现有数据，再恢复。")
    flash(begun if ask is None else awaits_second_person(), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def restore_page(resource_id: str, number: str, faults: tuple[Fault, ...]) -> str:
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        backup = reports.find_backup(session, subject(), number)
        if backup.resource_id != resource.id:
            raise NotFound
        action = plane.catalogue.of(resource).action_of_kind("restore")
        return render_template(
            "resources/restore.html",
            row=resource,
            backup=backup,
            action=action,
            in_place=action is not None and resource.state in action.states,
            tables=tables_of(backup),
            faults=fault_links(faults, [], {NAME_FIELD: gettext("名称")}),
        )


def tables_of(backup: Backup) -> list[tuple[str, int]]:
    """(name, rows) of what is in the backup, the largest first."""
    tables = backup.manifest.get("tables", {})
    rows = [(name, int(table["rows"])) for name, table in tables.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:20]


# --- exchanging ---------------------------------------------------------------------------------


@recovering_pages.get("/resources/<resource_id>/exchange")
def ask_exchange(resource_id: str) -> str:
    """With which other instance; nothing happens yet."""
    allow("backup.restore")
    return exchange_page(resource_id, ())


@recovering_pages.post("/resources/<resource_id>/exchange")
def exchange(resource_id: str) -> BaseResponse | tuple[str, int]:
    """Exchange, or show every fault."""
    allow("backup.restore")
    other_id = request.form.get("other", "")[:36]
    try:
        if not other_id:
            raise InvalidInput([Fault("field_required", "other")])
        ask = control_plane().recovery.exchange(subject(), resource_id, other_id, typed_name())
    except InvalidInput as refusal:
        return exchange_page(resource_id, refusal.faults), refusal.status
    flash(gettext("已开始互换。") if ask is None else awaits_second_person(), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def exchange_page(resource_id: str, faults: tuple[Fault, ...]) -> str:
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        _require(resource, "backup.restore")
        service = plane.catalogue.find(resource)
        action = service.action_of_kind("exchange") if service else None
        if action is None:
            raise NotFound
        others = reports.exchangeable_with(session, resource)
        field = FormField(
            name="other",
            kind="select",
            label=gettext("与哪个实例互换"),
            hint=gettext("同一服务、同一资源池中运行的实例"),
            value=request.form.get("other") or request.args.get("other"),
            width="full",
            choices=tuple(Choice(o.id, f"{o.name}（{o.number}）") for o in others),
            errors=errors_at(faults, "other"),
        )
        return render_template(
            "resources/exchange.html",
            row=resource,
            action=action,
            field=field,
            faults=fault_links(faults, [FieldGroup("", [field])], {NAME_FIELD: gettext("名称")}),
        )


# --- schedule -----------------------------------------------------------------------------------


@recovering_pages.get("/resources/<resource_id>/backup-schedule")
def schedule(resource_id: str) -> str:
    """When it is backed up, and how long backups are kept."""
    allow("backup.take")
    return schedule_page(resource_id, ())


@recovering_pages.post("/resources/<resource_id>/backup-schedule")
def change_schedule(resource_id: str) -> BaseResponse | tuple[str, int]:
    """Keep what was chosen, or show every fault."""
    allow("backup.take")
    daily_at = request.form.get("daily_at", "").strip()[:10]
    keep_days = request.form.get("keep_days", default=0, type=int)
    recovery = control_plane().recovery
    try:
        recovery.change_schedule(subject(), resource_id, daily_at, keep_days)
    except InvalidInput as refusal:
        return schedule_page(resource_id, refusal.faults), refusal.status
    flash(gettext("备份计划已更改。"), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def schedule_page(resource_id: str, faults: tuple[Fault, ...]) -> str:
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        _require(resource, "backup.take")
        service = plane.catalogue.find(resource)
        declared = service.backups_of(resource.spec) if service else None
        if declared is None:
            raise NotFound
        plan = plan_of(declared, session.get(BackupSchedule, resource.id))
        fields = [
            FormField(
                name="daily_at",
                kind="text",
                label=gettext("每天备份时间"),
                hint=gettext("北京时间，如 02:00"),
                value=request.form.get("daily_at", plan.daily_at),
                max_length=5,
                errors=errors_at(faults, "daily_at"),
            ),
            FormField(
                name="keep_days",
                kind="integer",
                label=gettext("保留"),
                hint=gettext("到期后归档与密钥一并删除，不能恢复；已有的备份仍按原来的期限"),
                unit=gettext("天"),
                value=request.form.get("keep_days", str(plan.keep_days)),
                errors=errors_at(faults, "keep_days"),
            ),
        ]
        return render_template(
            "resources/schedule.html",
            row=resource,
            fields=fields,
            faults=fault_links(faults, [FieldGroup("", fields)], {}),
        )


def _require(resource: Resource, action: str) -> None:
    """Errors: Forbidden."""
    if not is_allowed(subject(), action, department_path=resource.department.path):
        raise Forbidden


# --- a moment before -----------------------------------------------------------------------------


@recovering_pages.get("/resources/<resource_id>/moment")
def ask_moment(resource_id: str) -> str:
    """Which moment shall be had again."""
    allow("backup.take")
    return moment_page(resource_id, ())


@recovering_pages.post("/resources/<resource_id>/moment")
def take_moment(resource_id: str) -> BaseResponse | tuple[str, int]:
    """A backup of that moment begins, or every fault is shown."""
    allow("backup.take")
    typed = request.form.get("moment", "").strip()[:40]
    try:
        moment = local_moment(typed)
    except ValueError:
        return moment_page(resource_id, (Fault("moment_unreadable", "moment"),)), 422
    try:
        number = control_plane().recovery.back_up_moment(subject(), resource_id, moment)
    except InvalidInput as refusal:
        return moment_page(resource_id, refusal.faults), refusal.status
    flash(gettext("已开始取出该时刻的数据：%(number)s，完成后即可恢复。", number=number), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def moment_page(resource_id: str, faults: tuple[Fault, ...]) -> str:
    plane = control_plane()
    with plane.db.read() as session:
        resource = find_resource(session, subject(), resource_id)
        _require(resource, "backup.take")
        service = plane.catalogue.find(resource)
        if service is None or not service.has_moments(resource.spec):
            raise NotFound
        span = span_of(session, resource)
    field = FormField(
        name="moment",
        kind="text",
        label=gettext("时刻"),
        hint=gettext("北京时间，如 2026-11-23 15:40，可加秒"),
        value=request.form.get("moment", local_second(span.until) if span else ""),
        max_length=19,
        errors=errors_at(faults, "moment"),
    )
    return render_template(
        "resources/moment.html",
        row=resource,
        span=span,
        field=field,
        faults=fault_links(faults, [FieldGroup("", [field])], {}),
    )
