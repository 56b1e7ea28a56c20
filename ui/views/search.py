"""The search in the top bar: a number opens its page, anything else lists what was found."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from controlplane.reports.search import find_anything, find_number
from ui.session import allow, control_plane, subject

search_pages = Blueprint("search", __name__)

PAGES = {
    "request": ("requests.show", "request_id"),
    "resource": ("resources.show", "resource_id"),
    "job": ("jobs.show", "job_id"),
}


@search_pages.get("/search")
def index() -> str | BaseResponse:
    """Search by number, name or address."""
    allow("home.view")
    text = request.args.get("q", "").strip()[:100]
    plane = control_plane()
    with plane.db.read() as session:
        exact = find_number(session, subject(), text) if text else None
        if exact is not None:
            endpoint, parameter = PAGES[exact[0]]
            return redirect(url_for(endpoint, **{parameter: exact[1]}))
        return render_template(
            "search/index.html",
            search_text=text,
            found=find_anything(session, subject(), text),
            services=plane.catalogue.known,
        )
