"""`/resources`: what we hold, operating and retiring it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import url_for

from controlplane.api.asking import as_sent
from controlplane.api.paging import page_answer
from controlplane.api.problems import in_body
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.common import JobSummary
from controlplane.api.schemas.resources import (
    ActionBody,
    ConnectionSchema,
    NameBody,
    ReasonBody,
    RenewalBody,
    ResourcePage,
    ResourceQuery,
    ResourceStorySchema,
    SecondPersonBody,
)
from controlplane.approval.rules import Decision
from controlplane.errors import InvalidInput
from controlplane.provisioning.models import Job
from controlplane.reports import resources as reports
from controlplane.reports.resources import ResourceFilter, ResourceStory

routes = Routes("resources", "What was provisioned, and what is done with it")


@routes.get("/resources", action="resource.view", answer=ResourcePage, query=ResourceQuery)
def list_resources(query: dict[str, Any]) -> Any:
    """Resources I may see, the newest first."""
    number = query.pop("page")
    with control_plane().db.read() as session:
        page = reports.list_resources(session, current_subject(), ResourceFilter(**query), number)
        return page_answer(page)


@routes.get("/resources/<uuid:resource_id>", action="resource.view", answer=ResourceStorySchema)
def show_resource(resource_id: UUID) -> ResourceStory:
    """One resource with its jobs, events and metered intervals."""
    return _story(resource_id)


def _story(resource_id: UUID) -> ResourceStory:
    with control_plane().db.read() as session:
        return reports.resource_story(session, current_subject(), str(resource_id))


@routes.post(
    "/resources/<uuid:resource_id>/actions/<action>",
    action="resource.operate",
    answer=JobSummary,
    status=202,
    body=ActionBody,
)
def operate_resource(
    body: dict[str, Any], resource_id: UUID, action: str
) -> tuple[Job, dict[str, str]]:
    """Start an action that nobody has to approve; its job runs afterwards."""
    try:
        job_id = control_plane().operations.operate_resource(
            current_subject(), str(resource_id), action, body["form"]
        )
    except InvalidInput as error:
        raise as_sent(error) from error
    with control_plane().db.read() as session:
        job, _ = reports.find_job(session, job_id)
    return job, {"Location": url_for("api_resources.show_resource", resource_id=resource_id)}


@routes.post(
    "/resources/<uuid:resource_id>/renewal",
    action="resource.renew",
    answer=ResourceStorySchema,
    body=RenewalBody,
)
def renew_resource(body: dict[str, Any], resource_id: UUID) -> ResourceStory:
    """Prolong the lease by whole months, within the service's longest."""
    control_plane().leases.renew_resource(
        current_subject(), str(resource_id), body["months"], body["expires_at"]
    )
    return _story(resource_id)


@routes.post(
    "/resources/<uuid:resource_id>/connection",
    action="resource.connect",
    answer=ConnectionSchema,
    body=ReasonBody,
)
def show_connection(body: dict[str, Any], resource_id: UUID) -> dict[str, Any]:
    """Secrets and ways to connect: once without a reason, then only with one."""
    connection = control_plane().connections.show(
        current_subject(), str(resource_id), body["reason"], body["account"]
    )
    snippets = [
        {"code": snippet.code, "title": snippet.title, "text": text}
        for snippet, text in connection.snippets
    ]
    return {"secrets": connection.secrets, "snippets": snippets}


@routes.post(
    "/resources/<uuid:resource_id>/retirement",
    action="resource.retire",
    answer=ResourceStorySchema,
    status=202,
    body=NameBody,
)
def retire_resource(body: dict[str, Any], resource_id: UUID) -> ResourceStory:
    """Stop the resource now, destroy it after the service's grace period."""
    try:
        control_plane().operations.retire_resource(
            current_subject(), str(resource_id), body["name"]
        )
    except InvalidInput as error:
        raise in_body(error, {"confirm_name": "name"}) from error
    return _story(resource_id)


@routes.delete(
    "/resources/<uuid:resource_id>/retirement",
    action="resource.retire",
    answer=ResourceStorySchema,
)
def cancel_retirement(resource_id: UUID) -> ResourceStory:
    """Think better of it within the grace period."""
    control_plane().operations.cancel_retirement(current_subject(), str(resource_id))
    return _story(resource_id)


@routes.post(
    "/resources/<uuid:resource_id>/destruction",
    action="resource.retire_now",
    answer=ResourceStorySchema,
    status=202,
    body=NameBody,
)
def destroy_resource(body: dict[str, Any], resource_id: UUID) -> ResourceStory:
    """Destroy without waiting for the end of the grace period."""
    try:
        control_plane().operations.retire_now(current_subject(), str(resource_id), body["name"])
    except InvalidInput as error:
        raise in_body(error, {"confirm_name": "name"}) from error
    return _story(resource_id)


@routes.post(
    "/resources/<uuid:resource_id>/protection",
    action="resource.protect",
    answer=ResourceStorySchema,
)
def protect_resource(resource_id: UUID) -> ResourceStory:
    """From now on, destroying the resource needs a second person."""
    control_plane().protecting.protect_resource(current_subject(), str(resource_id))
    return _story(resource_id)


@routes.delete(
    "/resources/<uuid:resource_id>/protection",
    action="resource.protect",
    answer=ResourceStorySchema,
)
def unprotect_resource(resource_id: UUID) -> ResourceStory:
    """Ask for the protection to be taken off; a second person has to agree (see `awaited`)."""
    control_plane().protecting.unprotect_resource(current_subject(), str(resource_id))
    return _story(resource_id)


@routes.post(
    "/resources/<uuid:resource_id>/asks/<id:ask_id>/decision",
    action="resource.second",
    answer=ResourceStorySchema,
    body=SecondPersonBody,
)
def decide_ask(body: dict[str, Any], resource_id: UUID, ask_id: int) -> ResourceStory:
    """Agree as the second person to what another asked, which is then done; or refuse it."""
    try:
        control_plane().protecting.decide_ask(
            current_subject(),
            str(resource_id),
            ask_id,
            Decision(body["decision"]),
            body["opinion"],
            body["name"],
        )
    except InvalidInput as error:
        raise in_body(error, {"confirm_name": "name"}) from error
    return _story(resource_id)
