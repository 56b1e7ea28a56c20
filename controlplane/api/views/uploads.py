"""`/uploads`: archives for web applications; and what those write."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request

from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.uploads import PodLogsSchema, UploadQuery, UploadSchema
from controlplane.uploads.models import Upload

routes = Routes("uploads", "Archives of web applications, and what these write")

ANY_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@routes.post(
    "/uploads",
    action="request.create",
    answer=UploadSchema,
    status=201,
    query=UploadQuery,
    doc={"requestBody": {"required": True, "content": ANY_BYTES}},
)
def upload_archive(query: dict[str, Any]) -> Upload:
    """Keep a tar.gz or zip, once it is proven harmless; the same again is the same."""
    plane = control_plane()
    request.max_content_length = (plane.settings.upload_max_mib + 1) * 2**20
    return plane.uploads.receive(
        current_subject(), query["department_id"], query["filename"], request.stream
    )


@routes.get("/resources/<uuid:resource_id>/logs", action="resource.logs", answer=PodLogsSchema)
def show_logs(resource_id: UUID) -> dict[str, Any]:
    """The last lines that each pod of an application has written."""
    return {"logs": control_plane().logs.read(current_subject(), str(resource_id))}
