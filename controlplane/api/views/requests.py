"""`/requests`: asking, looking, withdrawing, deciding."""

from __future__ import annotations

import re
from typing import Any

from flask import request, url_for

from controlplane.api.asking import as_sent, ask_from, checked_ask, faults_as_sent
from controlplane.api.paging import page_answer
from controlplane.api.problems import RequestRefused, fault_json, language
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.previews import PreviewSchema
from controlplane.api.schemas.requests import (
    AskBody,
    DecisionAnswer,
    DecisionBody,
    RequestPage,
    RequestQuery,
    RequestStorySchema,
    ResubmissionBody,
    WithdrawalBody,
)
from controlplane.approval.rules import Decision
from controlplane.errors import Fault, InvalidInput
from controlplane.pipeline import Ask
from controlplane.preparing import Preparation
from controlplane.reports import requests as reports
from controlplane.reports.requests import RequestFilter, RequestStory
from controlplane.service_requests.models import ServiceRequest

routes = Routes("requests", "Service requests: asking, following, deciding")

KEY_PATTERN = "^[A-Za-z0-9._:-]{8,64}$"
_KEY = re.compile(KEY_PATTERN)
IDEMPOTENCY = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "required": True,
            "schema": {"type": "string", "pattern": KEY_PATTERN},
            "description": "Drawn by the client, such as a UUID: sent again with the same request "
            "it makes no second one and gives the first.",
        }
    ]
}


@routes.post("/request-previews", action="request.create", answer=PreviewSchema, body=AskBody)
def preview_request(body: dict[str, Any]) -> dict[str, Any]:
    """What a filled form would come to: every fault, capacity, cost, effects. Changes nothing."""
    ask = checked_ask(body)
    return _preview(control_plane().pipeline.prepare(current_subject(), ask))


def _preview(p: Preparation) -> dict[str, Any]:
    words = language()
    return {
        "service": p.asked.service,
        "service_version": p.asked.service_version,
        "action": p.asked.action,
        "zone": p.asked.zone,
        "title": p.asked.title,
        "pool": p.pool.code if p.pool else None,
        "capacity": p.asked.capacity,
        "asked_capacity": p.asked_capacity,
        "monthly_micro_yuan": p.monthly_micro_yuan,
        "monthly_before_micro_yuan": p.monthly_before,
        "monthly_micro_yuan_by_item": p.monthly_by_item,
        "faults": [fault_json(f, words) for f in faults_as_sent(p.faults)],
        "shortages": [fault_json(f, words) for f in p.shortages],
        "quota_effects": p.quota_effects,
        "pool_effects": p.pool_effects,
        "steps": p.steps_ahead,
    }


@routes.post(
    "/requests",
    action="request.create",
    answer=RequestStorySchema,
    status=201,
    body=AskBody,
    doc=IDEMPOTENCY,
)
def submit_request(body: dict[str, Any]) -> tuple[RequestStory, dict[str, str]]:
    """Submit a request; Location leads to it."""
    key = _idempotency_key()
    ask = checked_ask(body, submission_key=key)
    request_id = _submit(ask)
    story = _story(request_id)
    if _differs(story.request, ask):
        raise RequestRefused(422, "idempotency_key_reused")
    return story, {"Location": url_for("api_requests.show_request", request_id=request_id)}


def _idempotency_key() -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        code = "field_pattern" if key else "field_required"
        raise InvalidInput([Fault(code, "Idempotency-Key")])
    return key


def _submit(ask: Ask) -> int:
    try:
        return control_plane().pipeline.submit_request(current_subject(), ask)
    except InvalidInput as error:
        raise as_sent(error) from error


def _differs(made: ServiceRequest, ask: Ask) -> bool:
    """Whether the request that the key made is another one than is asked now."""
    was = (made.service, made.action, made.form)
    return was != (ask.service, ask.action, ask.form) or bool(
        (ask.zone and ask.zone != made.zone and ask.resource_id is None)
        or (ask.resource_id and ask.resource_id != made.resource_id)
    )


@routes.get("/requests", action="request.view", answer=RequestPage, query=RequestQuery)
def list_requests(query: dict[str, Any]) -> Any:
    """Requests I may see, the newest first."""
    number = query.pop("page")
    with control_plane().db.read() as session:
        page = reports.list_requests(session, current_subject(), RequestFilter(**query), number)
        return page_answer(page)


@routes.get("/requests/<id:request_id>", action="request.view", answer=RequestStorySchema)
def show_request(request_id: int) -> RequestStory:
    """One request with its steps, jobs and resource."""
    return _story(request_id)


def _story(request_id: int) -> RequestStory:
    with control_plane().db.read() as session:
        return reports.request_story(session, current_subject(), request_id)


@routes.post(
    "/requests/<id:request_id>/resubmission",
    action="request.create",
    answer=RequestStorySchema,
    body=ResubmissionBody,
)
def resubmit_request(body: dict[str, Any], request_id: int) -> RequestStory:
    """Submit a draft or a returned request again, with its form made good."""
    _submit(ask_from(_story(request_id).request, body["form"], body["zone"]))
    return _story(request_id)


@routes.post(
    "/requests/<id:request_id>/withdrawal",
    action="request.withdraw",
    answer=RequestStorySchema,
    body=WithdrawalBody,
)
def withdraw_request(body: dict[str, Any], request_id: int) -> RequestStory:
    """Withdraw a request that is not decided yet."""
    control_plane().pipeline.withdraw_request(current_subject(), request_id, body["reason"])
    return _story(request_id)


@routes.post(
    "/requests/<id:request_id>/decisions",
    action="request.decide",
    answer=DecisionAnswer,
    body=DecisionBody,
)
def decide_request(body: dict[str, Any], request_id: int) -> dict[str, Any]:
    """Decide the step whose turn it is, for one's office."""
    outcome = control_plane().pipeline.decide_request(
        current_subject(),
        request_id,
        body["step_id"],
        Decision(body["decision"]),
        body["opinion"],
    )
    return {"outcome": outcome.value, "request": _story(request_id)}
