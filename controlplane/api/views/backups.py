"""`/resources/{id}/backups` and what is done with them: taken, restored, exchanged, proven."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from controlplane.api.paging import page_answer
from controlplane.api.problems import in_body
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.backups import (
    BackupBody,
    BackupPage,
    BackupQuery,
    BackupSchema,
    DrillPage,
    DrillSchema,
    ExchangeBody,
    RestorationBody,
    ScheduleBody,
    ScheduleSchema,
)
from controlplane.api.schemas.resources import ResourceStorySchema
from controlplane.backups.models import Backup, RestoreDrill
from controlplane.errors import InvalidInput
from controlplane.reports import backups as reports
from controlplane.reports.resources import ResourceStory, resource_story

routes = Routes("backups", "Backups of a resource, restored and proven")


@routes.get(
    "/resources/<uuid:resource_id>/backups",
    action="backup.view",
    answer=BackupPage,
    query=BackupQuery,
)
def list_backups(query: dict[str, Any], resource_id: UUID) -> Any:
    """Every backup that a resource ever had, the newest first."""
    with control_plane().db.read() as session:
        subject, catalogue = current_subject(), control_plane().catalogue
        page = reports.list_backups(session, subject, str(resource_id), query["page"])
        body, headers = page_answer(page)
        body["moments"] = reports.moments_of(session, catalogue, subject, str(resource_id))
        return body, headers


@routes.post(
    "/resources/<uuid:resource_id>/backups",
    action="backup.take",
    answer=BackupSchema,
    status=202,
    body=BackupBody,
)
def back_up(body: dict[str, Any], resource_id: UUID) -> Backup:
    """Back up now, or what there was at a moment before; its job runs afterwards."""
    recovery, subject = control_plane().recovery, current_subject()
    if "moment" in body:
        number = recovery.back_up_moment(subject, str(resource_id), body["moment"])
    else:
        number = recovery.back_up_now(subject, str(resource_id))
    with control_plane().db.read() as session:
        return reports.find_backup(session, current_subject(), number)


@routes.post(
    "/resources/<uuid:resource_id>/backup-schedule",
    action="backup.take",
    answer=ScheduleSchema,
    body=ScheduleBody,
)
def change_backup_schedule(body: dict[str, Any], resource_id: UUID) -> dict[str, Any]:
    """Choose the hour of the daily backup, and how long backups are kept from now on."""
    control_plane().recovery.change_schedule(
        current_subject(), str(resource_id), body["daily_at"], body["keep_days"]
    )
    return body


@routes.post(
    "/resources/<uuid:resource_id>/backups/<number>/restoration",
    action="backup.restore",
    answer=ResourceStorySchema,
    status=202,
    body=RestorationBody,
)
def restore_in_place(body: dict[str, Any], resource_id: UUID, number: str) -> ResourceStory:
    """Restore a backup in place, after a backup of what is there now."""
    recovery = control_plane().recovery
    try:
        recovery.restore_in_place(current_subject(), str(resource_id), number, body["name"])
    except InvalidInput as error:
        raise in_body(error, {"confirm_name": "name"}) from error
    return _story(resource_id)


@routes.post(
    "/resources/<uuid:resource_id>/exchange",
    action="backup.restore",
    answer=ResourceStorySchema,
    status=202,
    body=ExchangeBody,
)
def exchange_resources(body: dict[str, Any], resource_id: UUID) -> ResourceStory:
    """Exchange the data of two resources: each keeps its connection."""
    recovery = control_plane().recovery
    try:
        recovery.exchange(current_subject(), str(resource_id), body["other_id"], body["name"])
    except InvalidInput as error:
        raise in_body(error, {"confirm_name": "name", "other": "other_id"}) from error
    return _story(resource_id)


@routes.get(
    "/resources/<uuid:resource_id>/drills",
    action="backup.view",
    answer=DrillPage,
    query=BackupQuery,
)
def list_drills(query: dict[str, Any], resource_id: UUID) -> Any:
    """Restore drills of a resource, the newest first."""
    with control_plane().db.read() as session:
        page = reports.list_drills(session, current_subject(), str(resource_id), query["page"])
        return page_answer(page)


@routes.post(
    "/resources/<uuid:resource_id>/drills",
    action="backup.prove",
    answer=DrillSchema,
    status=202,
)
def prove_backup(resource_id: UUID) -> RestoreDrill:
    """Prove the newest backup now: restored where nobody uses it, compared, measured."""
    control_plane().recovery.drill_now(current_subject(), str(resource_id))
    with control_plane().db.read() as session:
        page = reports.list_drills(session, current_subject(), str(resource_id))
        newest: RestoreDrill = page.rows[0]
        return newest


def _story(resource_id: UUID) -> ResourceStory:
    with control_plane().db.read() as session:
        return resource_story(session, current_subject(), str(resource_id))
