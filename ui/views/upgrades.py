"""升级: what is due, an upgrade previewed and started, and one that is under way."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import NotFound as NoSuchPage
from werkzeug.wrappers import Response as BaseResponse

from controlplane.errors import Fault, InvalidInput, UpgradeOpen
from controlplane.messages import text_of_fault
from controlplane.reports import upgrades as reports
from controlplane.upgrade_plans import Plan
from ui.declared_forms import FieldGroup, errors_at, fault_links
from ui.forms import FormField
from ui.lists import page_number, page_url
from ui.preferences import current_preferences
from ui.session import allow, control_plane, may, subject

upgrades_pages = Blueprint("upgrades", __name__)

AT_ONCE_DEFAULT = 4


@upgrades_pages.get("/upgrades")
def index() -> str:
    """Instances of older versions, and every upgrade, the newest first."""
    allow("upgrade.view")
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "upgrades/index.html",
            due=reports.due_upgrades(session, plane.catalogue),
            page=reports.list_campaigns(session, page_number()),
            page_url=page_url(),
            services=plane.catalogue.known,
        )


@upgrades_pages.get("/upgrades/<number>")
def show(number: str) -> str:
    """One upgrade with each of its instances."""
    allow("upgrade.view")
    plane = control_plane()
    with plane.db.read() as session:
        progress = reports.find_campaign(session, number[:24], plane.clock())
        return render_template(
            "upgrades/show.html",
            progress=progress,
            row=progress.campaign,
            services=plane.catalogue.known,
            reasons={m.id: reasons_of(m.preview["faults"]) for m in progress.campaign.members},
            can_manage=may("upgrade.manage"),
        )


def reasons_of(faults: list[dict[str, Any]]) -> list[str]:
    """Kept faults in the person's language."""
    return [text_of_fault(Fault(**fault), current_preferences().language) for fault in faults]


@upgrades_pages.get("/upgrades/preview")
def preview() -> str | tuple[str, int]:
    """What an upgrade would change on each instance; nothing happens yet."""
    allow("upgrade.manage")
    return preview_page(typed_plan(request.args), ())


@upgrades_pages.post("/upgrades/preview")
def start() -> BaseResponse | str | tuple[str, int]:
    """Start it, or show every fault."""
    allow("upgrade.manage")
    plan = typed_plan(request.form)
    if "_preview" in request.form:
        return preview_page(plan, ())
    try:
        number = control_plane().upgrading.start(subject(), plan)
    except InvalidInput as refusal:
        return preview_page(plan, refusal.faults, refusal.status)
    except UpgradeOpen as refusal:
        return redirect(url_for("upgrades.show", number=refusal.params["number"]))
    flash(gettext("已启动升级任务 %(number)s。", number=number), "success")
    return redirect(url_for("upgrades.show", number=number))


def typed_plan(typed: Any) -> Plan:
    lines = typed.get("groups", "").splitlines()
    return Plan(
        service=typed.get("service", "")[:40],
        before=typed.get("from", "")[:20],
        after=typed.get("to", "")[:20],
        at_once=typed.get("at_once", default=AT_ONCE_DEFAULT, type=int),
        groups=tuple(line.strip() for line in lines if line.strip()),
        any_time="any_time" in typed,
    )


def preview_page(plan: Plan, faults: tuple[Fault, ...], status: int = 200) -> str | tuple[str, int]:
    seen = None
    try:
        seen = control_plane().upgrading.preview(subject(), plan)
    except InvalidInput as refusal:
        faults, status = faults or refusal.faults, refusal.status
    fields = plan_fields(plan, faults)
    language = current_preferences().language
    page = render_template(
        "upgrades/preview.html",
        plan=plan,
        preview=seen,
        fields=fields,
        services=control_plane().catalogue.known,
        reasons=lambda found: [text_of_fault(fault, language) for fault in found],
        upgradable=sum(not each.upgraded.faults for each in seen.instances) if seen else 0,
        faults=fault_links(
            faults, [FieldGroup("", fields)], {"from": gettext("原版本"), "to": gettext("目标版本")}
        ),
    )
    return page if status == 200 else (page, status)


def plan_fields(plan: Plan, faults: tuple[Fault, ...]) -> list[FormField]:
    groups = [fault for fault in faults if fault.field.startswith("groups")]
    language = current_preferences().language
    return [
        FormField(
            name="at_once",
            kind="integer",
            label=gettext("同时进行"),
            unit=gettext("个"),
            value=str(plan.at_once),
            errors=errors_at(faults, "at_once"),
        ),
        FormField(
            name="groups",
            kind="textarea",
            label=gettext("先升级的分组"),
            hint=gettext(
                "每行一组，按顺序进行：department:代码、zone:网络域、plan:套餐，"
                "或以逗号分隔的资源编号；其余最后"
            ),
            value="\n".join(plan.groups),
            required=False,
            width="full",
            errors=[text_of_fault(fault, language) for fault in groups],
        ),
    ]


@upgrades_pages.post("/upgrades/<number>/<act>")
def manage(number: str, act: str) -> BaseResponse:
    """Stop, go on, or cancel."""
    allow("upgrade.manage")
    upgrading = control_plane().upgrading
    acts = {
        "stop": (upgrading.stop, gettext("已停下。")),
        "resume": (upgrading.resume, gettext("已继续。")),
        "cancel": (upgrading.cancel, gettext("已取消，占用的配额已退还。")),
    }
    if act not in acts:
        raise NoSuchPage
    do, said = acts[act]
    do(subject(), number[:24])
    flash(said, "success")
    return redirect(url_for("upgrades.show", number=number))
