"""申请单: the list with its filters, one request with its journey, deciding and withdrawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from controlplane import messages
from controlplane.approval.rules import OPINION_MAX_LENGTH, Decision, Outcome
from controlplane.choices import live_choices
from controlplane.errors import InvalidInput, NotFound
from controlplane.reports import requests as reports
from controlplane.reports.prices import item_names
from controlplane.reports.requests import RequestFilter, RequestStory
from controlplane.service_requests.rules import RequestState
from controlplane.tenancy.saved_views import views_of
from ui import joblogs, journeys
from ui.declared_forms import FormContext, field_groups
from ui.facts import answer_text
from ui.lists import page_number, zone_in_view
from ui.preferences import current_language
from ui.session import allow, control_plane, may, subject

requests_pages = Blueprint("requests", __name__)

SHORT_LOG_LINES = 12
#: What may stand in the list's address, and in a view that is kept of it.
FILTERS = ("state", "service", "zone", "q", "mine", "open")
FILTER_MAX_LENGTH = 80
LIST_NAME = "requests"


@requests_pages.get("/requests")
def index() -> str:
    """Requests that the person may see; the filters stand in the address."""
    allow("request.view")
    return _list(_filters(request.args))


def _filters(args: Mapping[str, str]) -> dict[str, str]:
    given = {name: args.get(name, "").strip() for name in FILTERS}
    return {name: value for name, value in given.items() if 0 < len(value) <= FILTER_MAX_LENGTH}


def _list(filters: dict[str, str], name: str = "", error: str = "") -> str:
    """The list; `name` and `error` of a view that could not be kept."""
    chosen = RequestFilter(
        state=filters.get("state", ""),
        service=filters.get("service", ""),
        zone=filters.get("zone") or zone_in_view(),
        text=filters.get("q", ""),
        mine="mine" in filters,
        open_only="open" in filters,
    )
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "requests/index.html",
            page=reports.list_requests(session, subject(), chosen, page_number()),
            chosen=chosen,
            filters=filters,
            query=urlencode(filters),
            views=views_of(session, subject(), LIST_NAME),
            view_name=name,
            view_error=error,
            page_url=lambda page: url_for("requests.index", **filters, page=page),
            states=[state.value for state in RequestState],
            services=plane.catalogue.known,
        )


@requests_pages.post("/requests/views")
def save_view() -> BaseResponse | tuple[str, int]:
    """Keep the list's filters under a name. What was written is kept when it is refused."""
    allow("request.view")
    filters = _filters(dict(parse_qsl(request.form.get("query", ""))))
    name = request.form.get("name", "")
    try:
        control_plane().accounts.save_view(subject(), LIST_NAME, name, urlencode(filters))
    except InvalidInput as refusal:
        said = (messages.text_of_fault(f, current_language()) for f in refusal.faults)
        return _list(filters, name, "；".join(said)), refusal.status
    flash(gettext("视图“%(name)s”已保存。", name=name.strip()), "success")
    return redirect(url_for("requests.index", **filters))


@requests_pages.post("/requests/views/<int:view_id>/forget")
def forget_view(view_id: int) -> BaseResponse:
    """Keep a view no longer."""
    allow("request.view")
    control_plane().accounts.forget_view(subject(), view_id)
    flash(gettext("视图已删除。"), "success")
    return redirect(url_for("requests.index"))


@requests_pages.get("/requests/<int:request_id>")
def show(request_id: int) -> str:
    """One request with all of its story."""
    allow("request.view")
    with control_plane().db.read() as session:
        story = reports.request_story(session, subject(), request_id)
        return render_template(
            "requests/show.html",
            **story_context(story),
            items=item_names(session),
            answers=answers_of(session, story),
            opinion="",
            opinion_max=OPINION_MAX_LENGTH,
            error="",
        )


@requests_pages.get("/requests/<int:request_id>/progress")
def progress(request_id: int) -> str:
    """The part of the page that changes by itself: stepper, sentence, steps and log."""
    allow("request.view")
    with control_plane().db.read() as session:
        story = reports.request_story(session, subject(), request_id)
        return render_template("requests/_progress.html", **story_context(story))


def story_context(story: RequestStory) -> dict[str, Any]:
    """What both the page and its live part are drawn from."""
    plane = control_plane()
    service = plane.catalogue.find(story.request)
    usually = service.usually_takes(story.request.spec) if service else 60
    steps, total_seconds = journeys.shown_steps(story.job_steps)
    job = story.current_job
    lines = joblogs.read_lines(joblogs.log_file(plane.settings.jobs_dir, job)) if job else []
    return {
        "story": story,
        "row": story.request,
        "service": service,
        "stepper": journeys.stepper(story),
        "sentence": journeys.next_sentence(story, usually),
        "timeline": journeys.timeline(story),
        "job": job,
        "job_steps": steps,
        "total_seconds": total_seconds,
        "log_lines": lines[-SHORT_LOG_LINES:],
        "is_live": story.request.state in (RequestState.IN_APPROVAL, RequestState.DELIVERING),
        "my_step": my_step(story),
        "is_mine": may("request.withdraw", story.request.department.path),
    }


def my_step(story: RequestStory) -> Any:
    """The pending step if the person decides for its office and the request is not their own."""
    step = story.pending_step
    if step is None or step.office_id not in subject().office_ids:
        return None
    return None if story.request.applicant_id == subject().person_id else step


def answers_of(session: Session, story: RequestStory) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was asked, in words, by the form's groups; as stored if the service is gone."""
    row = story.request
    service = control_plane().catalogue.find(row)
    action = service.action(row.action) if service else None
    if service is None or action is None:
        return [(row.service, [(name, str(value)) for name, value in row.form.items()])]
    stands_on = service.engine_of(service.spec_of(row.form))
    choices = live_choices(session, service, action, row.department, row.zone, stands_on)
    groups = field_groups(service, action, FormContext(row.form, choices=choices))
    return [(g.title, [(f.label, answer_text(f)) for f in g.fields]) for g in groups]


@requests_pages.post("/requests/<int:request_id>/decide")
def decide(request_id: int) -> BaseResponse | tuple[str, int]:
    """An office's decision. What was written is kept when it is refused."""
    opinion = request.form.get("opinion", "")
    choice = request.form.get("decision", "")
    if choice not in {decision.value for decision in Decision}:
        raise NotFound
    try:
        outcome = control_plane().pipeline.decide_request(
            subject(),
            request_id,
            request.form.get("step_id", default=0, type=int),
            Decision(choice),
            opinion,
        )
    except InvalidInput as refusal:
        return _with_error(request_id, refusal, opinion), refusal.status
    said = {
        Outcome.NEXT_STEP: gettext("已同意，转下一环节办理。"),
        Outcome.APPROVED: gettext("已同意，申请获批，正在开通。"),
        Outcome.RETURNED: gettext("已退回申请人补正，预占的配额已退还。"),
        Outcome.REFUSED: gettext("已作出不予同意的决定，预占的配额已退还。"),
    }
    flash(said[outcome], "success")
    return redirect(url_for("requests.show", request_id=request_id))


def _with_error(request_id: int, refusal: InvalidInput, opinion: str) -> str:
    error = "；".join(messages.text_of_fault(f, current_language()) for f in refusal.faults)
    with control_plane().db.read() as session:
        story = reports.request_story(session, subject(), request_id)
        return render_template(
            "requests/show.html",
            **story_context(story),
            items=item_names(session),
            answers=answers_of(session, story),
            opinion=opinion,
            opinion_max=OPINION_MAX_LENGTH,
            error=error,
        )


@requests_pages.post("/requests/<int:request_id>/withdraw")
def withdraw(request_id: int) -> BaseResponse:
    """The applicant's department takes its request back."""
    control_plane().pipeline.withdraw_request(
        subject(), request_id, request.form.get("reason", "").strip()
    )
    flash(gettext("已撤回，预占的配额已退还。"), "success")
    return redirect(url_for("requests.show", request_id=request_id))
