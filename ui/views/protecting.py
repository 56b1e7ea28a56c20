"""保护 and 双人复核: what must not happen by accident, and the second person's page."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from controlplane.approval.rules import Decision
from controlplane.errors import Fault, Forbidden, InvalidInput, NotFound
from controlplane.policy import is_allowed
from controlplane.provisioning.guards import GuardedAct, lapses_at, needs_name
from controlplane.reports.resources import resource_story
from ui.declared_forms import fault_links
from ui.session import allow, control_plane, subject
from ui.views.operating import NAME_FIELD, awaits_second_person, typed_name

protecting_pages = Blueprint("protecting", __name__)


@protecting_pages.post("/resources/<resource_id>/protection")
def change(resource_id: str) -> BaseResponse:
    """Protect at once; or ask for the protection to be taken off."""
    allow("resource.protect")
    protecting = control_plane().protecting
    wanted = request.form.get("protected")
    if wanted == "yes":
        protecting.protect_resource(subject(), resource_id)
        said = gettext("已保护：销毁、原地恢复、互换数据或解除保护须双人复核。")
    elif wanted == "no":
        protecting.unprotect_resource(subject(), resource_id)
        said = awaits_second_person()
    else:
        raise BadRequest
    flash(said, "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


@protecting_pages.get("/resources/<resource_id>/second-person")
def second(resource_id: str) -> str:
    """What another person asked for, and the two answers to it."""
    allow("resource.second")
    return page(resource_id, ())


@protecting_pages.post("/resources/<resource_id>/second-person")
def decide(resource_id: str) -> BaseResponse | tuple[str, int]:
    """Agree, and it is done; or refuse; who asked takes it back."""
    allow("resource.second")
    ask_id = request.form.get("ask", default=0, type=int)
    try:
        decision = Decision(request.form.get("decision", ""))
    except ValueError:
        raise BadRequest from None
    opinion = request.form.get("opinion", "")
    try:
        control_plane().protecting.decide_ask(
            subject(), resource_id, ask_id, decision, opinion, typed_name()
        )
    except InvalidInput as refusal:
        return page(resource_id, refusal.faults), refusal.status
    agreed = decision is Decision.AGREE
    flash(gettext("已复核同意并执行。") if agreed else gettext("已撤回或不予同意。"), "success")
    return redirect(url_for("resources.show", resource_id=resource_id))


def page(resource_id: str, faults: tuple[Fault, ...]) -> str:
    """Errors: NotFound (nothing waits), Forbidden."""
    with control_plane().db.read() as session:
        story = resource_story(session, subject(), resource_id)
        path = story.resource.department.path
        if not is_allowed(subject(), "resource.second", department_path=path):
            raise Forbidden
        if story.awaited is None:
            raise NotFound
        labels = {NAME_FIELD: gettext("名称"), "opinion": gettext("意见")}
        return render_template(
            "resources/second_person.html",
            row=story.resource,
            ask=story.awaited,
            lapses_at=lapses_at(
                story.awaited.asked_at, control_plane().settings.second_person_days
            ),
            is_asker=story.awaited.asked_by_id == subject().person_id,
            needs_name=needs_name(GuardedAct(story.awaited.act)),
            faults=fault_links(faults, [], labels),
        )
