"""`/jobs`: runs of playbooks, their logs, retry and cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Response

from controlplane.api.paging import page_answer
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.jobs import JobDetail, JobPage, JobQuery, LogQuery
from controlplane.provisioning.models import Job
from controlplane.provisioning.runner import log_path
from controlplane.reports import resources as reports

routes = Routes("jobs", "Runs of playbooks")


@routes.get("/jobs", action="job.view", answer=JobPage, query=JobQuery)
def list_jobs(query: dict[str, Any]) -> Any:
    """Every job, the newest first."""
    with control_plane().db.read() as session:
        page = reports.list_jobs(
            session, state=query["state"], text=query["text"], page=query["page"]
        )
        return page_answer(page)


@routes.get("/jobs/<id:job_id>", action="job.view", answer=JobDetail)
def show_job(job_id: int) -> dict[str, Any]:
    """One job with the steps of its present attempt."""
    return _job(job_id)


def _job(job_id: int) -> dict[str, Any]:
    with control_plane().db.read() as session:
        job, steps = reports.find_job(session, job_id)
    return {**{c.key: getattr(job, c.key) for c in Job.__table__.columns}, "steps": steps}


@routes.get("/jobs/<id:job_id>/log", action="job.view", query=LogQuery, content_type="text/plain")
def show_log(query: dict[str, Any], job_id: int) -> Response:
    """The end of a playbook run's output; empty before the run has written any."""
    with control_plane().db.read() as session:
        job, _ = reports.find_job(session, job_id)
    attempt = query["attempt"] or job.attempt
    path = log_path(control_plane().settings.jobs_dir / job.number, attempt)
    return Response(tail(path, query["tail_kib"] * 1024), content_type="text/plain; charset=utf-8")


def tail(path: Path, size: int) -> str:
    """The last `size` bytes of a file as text, from a line's start on; "" when there is none."""
    try:
        with path.open("rb") as stream:
            length = stream.seek(0, 2)
            stream.seek(max(0, length - size))
            end = stream.read(size)
    except FileNotFoundError:
        return ""
    if length > size:
        end = end.partition(b"\n")[2] or end
    return end.decode("utf-8", errors="replace")


@routes.post("/jobs/<id:job_id>/retry", action="job.manage", answer=JobDetail, status=202)
def retry_job(job_id: int) -> dict[str, Any]:
    """Give a failed or cancelled job new attempts."""
    control_plane().operations.retry_job(current_subject(), job_id)
    return _job(job_id)


@routes.post("/jobs/<id:job_id>/cancellation", action="job.manage", answer=JobDetail, status=202)
def cancel_job(job_id: int) -> dict[str, Any]:
    """Ask for a job to be ended: at once if it waits, at its next heartbeat if it runs."""
    control_plane().operations.cancel_job(current_subject(), job_id)
    return _job(job_id)
