"""作业: every run of a playbook, one with its steps and live log, retry and cancel."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from controlplane.errors import NotFound
from controlplane.jobs import service_of
from controlplane.operations import is_retryable
from controlplane.provisioning.rules import UNFINISHED, JobState
from controlplane.reports import resources as reports
from controlplane.reports.requests import find_request
from ui import joblogs, journeys
from ui.lists import page_number, page_url
from ui.session import allow, control_plane, may, subject

jobs_pages = Blueprint("jobs", __name__)


@jobs_pages.get("/jobs")
def index() -> str:
    """Every job, newest first."""
    allow("job.view")
    state, text = request.args.get("state", ""), request.args.get("q", "").strip()
    plane = control_plane()
    with plane.db.read() as session:
        return render_template(
            "jobs/index.html",
            page=reports.list_jobs(session, state=state, text=text, page=page_number()),
            state=state,
            text=text,
            states=[s.value for s in JobState],
            page_url=page_url(),
            services=plane.catalogue.known,
        )


@jobs_pages.get("/jobs/<int:job_id>")
def show(job_id: int) -> str:
    """One job."""
    allow("job.view")
    plane = control_plane()
    with plane.db.read() as session:
        job, steps = reports.find_job(session, job_id)
        shown, total_seconds = journeys.shown_steps(steps)
        lines = joblogs.read_lines(joblogs.log_file(plane.settings.jobs_dir, job))
        asked = None
        if job.request_id is not None and may("request.view"):
            asked = find_request(session, subject(), job.request_id)
        return render_template(
            "jobs/show.html",
            job=job,
            asked=asked,
            service=service_of(plane.catalogue, job),
            steps=shown,
            total_seconds=total_seconds,
            lines=lines,
            is_live=job.state in UNFINISHED,
            can_retry=may("job.manage")
            and job.state in ("failed", "cancelled")
            and is_retryable(job),
            can_cancel=may("job.manage") and job.state in UNFINISHED and not job.cancel_asked,
        )


@jobs_pages.get("/jobs/<int:job_id>/steps")
def steps(job_id: int) -> str:
    """The steps as they stand now; the page asks again until the job has ended."""
    allow("job.view")
    with control_plane().db.read() as session:
        job, rows = reports.find_job(session, job_id)
        shown, total_seconds = journeys.shown_steps(rows)
        is_live = job.state in UNFINISHED
        return render_template(
            "jobs/_steps.html", job=job, steps=shown, total_seconds=total_seconds, is_live=is_live
        )


@jobs_pages.get("/jobs/<int:job_id>/log")
def log(job_id: int) -> Response:
    """Lines of the log behind `?after=`, for the viewer on the page."""
    allow("job.view")
    with control_plane().db.read() as session:
        job, _ = reports.find_job(session, job_id)
    after = request.args.get("after", default=0, type=int)
    lines = joblogs.read_lines(joblogs.log_file(control_plane().settings.jobs_dir, job), after)
    response = make_response(render_template("jobs/_lines.html", lines=lines))
    response.headers["X-Log-Next"] = str(lines[-1].number if lines else after)
    response.headers["X-Log-Finished"] = "no" if job.state in UNFINISHED else "yes"
    return response


@jobs_pages.get("/jobs/<int:job_id>/log.txt")
def log_text(job_id: int) -> Response:
    """The whole log to keep, without colours. Errors: NotFound when there is none."""
    allow("job.view")
    with control_plane().db.read() as session:
        job, _ = reports.find_job(session, job_id)
    path = joblogs.log_file(control_plane().settings.jobs_dir, job)
    if not path.is_file():
        raise NotFound
    lines = ("".join(text for _, text in line.parts) for line in joblogs.read_lines(path))
    response = make_response("\n".join(lines) + "\n")
    response.mimetype = "text/plain"
    response.headers["Content-Disposition"] = f'attachment; filename="{job.number}.log"'
    return response


@jobs_pages.post("/jobs/<int:job_id>/retry")
def retry(job_id: int) -> BaseResponse:
    """Give a failed job new tries."""
    control_plane().operations.retry_job(subject(), job_id)
    flash(gettext("作业已重新排队。"), "success")
    return redirect(url_for("jobs.show", job_id=job_id))


@jobs_pages.post("/jobs/<int:job_id>/cancel")
def cancel(job_id: int) -> BaseResponse:
    """Ask for a job to be ended."""
    control_plane().operations.cancel_job(subject(), job_id)
    flash(gettext("已要求取消，正在运行的步骤会先结束。"), "success")
    return redirect(url_for("jobs.show", job_id=job_id))
