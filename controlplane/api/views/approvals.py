"""`/approvals`: what waits for my offices, and what they decided."""

from __future__ import annotations

from typing import Any

from controlplane.api.paging import PageQuery, page_answer
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.requests import PendingPage
from controlplane.reports import requests as reports
from controlplane.reports.scope import Page

routes = Routes("approvals", "Steps of my offices")


@routes.get("/approvals/pending", action="approval.view", answer=PendingPage, query=PageQuery)
def list_pending(query: dict[str, Any]) -> Any:
    """Steps whose turn it is in my offices, the longest waiting first."""
    with control_plane().db.read() as session:
        return _answer(reports.to_decide(session, current_subject(), query["page"]))


@routes.get("/approvals/decided", action="approval.view", answer=PendingPage, query=PageQuery)
def list_decided(query: dict[str, Any]) -> Any:
    """Steps that my offices decided, the newest first."""
    with control_plane().db.read() as session:
        return _answer(reports.decided(session, current_subject(), query["page"]))


def _answer(page: Page[Any]) -> Any:
    return page_answer(page, [{"step": step, "request": made} for step, made in page.rows])
