"""The frame around every page: menu by role, top bar, asset addresses, security headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, g, request, send_from_directory, url_for
from flask_babel import lazy_gettext as _

from controlplane.policy import Subject
from controlplane.reports.directory import find_department
from controlplane.reports.waiting import Waiting, waiting_for
from ui import assets
from ui.preferences import current_preferences
from ui.presentation import CONTENT_SECURITY_POLICY, assets_version, listed, zone_name
from ui.session import control_plane, find_subject, may

assets_pages = Blueprint("assets", __name__)

ROLE_NAMES = {
    "applicant": _("申请人"),
    "approver": _("审批人"),
    "engineer": _("平台工程师"),
    "finance": _("财务"),
    "supervisor": _("监察"),
    "administrator": _("管理员"),
}


@dataclass(frozen=True)
class Entry:
    """A menu entry, shown to whoever may do `action`; `covers` are endpoints it stands for."""

    endpoint: str
    label: Any
    icon: str
    action: str
    covers: tuple[str, ...] = ()
    badge: str = ""


MENU: tuple[tuple[Any, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("home.index", _("工作台"), "layout-dashboard", "home.view", ("search.",)),
            Entry(
                "catalogue.index", _("服务目录"), "layout-grid-add", "catalogue.view", ("asking.",)
            ),
            Entry("requests.index", _("申请单"), "file-text", "request.view", badge="returned"),
            Entry("resources.index", _("资源"), "server-2", "resource.view"),
        ),
    ),
    (
        _("审批"),
        (
            Entry("approvals.to_do", _("待办"), "inbox", "approval.view", badge="to_decide"),
            Entry("approvals.done", _("已办"), "checks", "approval.view"),
        ),
    ),
    (
        _("平台"),
        (
            Entry("jobs.index", _("作业"), "player-play", "job.view", badge="failed_jobs"),
            Entry("upgrades.index", _("升级"), "versions", "upgrade.view"),
            Entry("pools.index", _("资源池"), "database", "pool.view"),
            Entry("certificates.index", _("证书"), "certificate", "certificate.view"),
        ),
    ),
    (
        _("财务"),
        (
            Entry("finance.month", _("本月"), "calendar-dollar", "month.view"),
            Entry("finance.prices", _("价格"), "tag", "price.view"),
        ),
    ),
    (
        _("管理"),
        (
            Entry("pools.quotas", _("配额"), "gauge", "quota.view"),
            Entry("admin.departments", _("部门"), "sitemap", "tenancy.view"),
            Entry("admin.people", _("人员"), "users", "tenancy.view"),
            Entry("admin.audit", _("审计"), "shield-check", "audit.view"),
        ),
    ),
)


def install(app: Flask) -> None:
    """Context of every template, asset addresses and headers."""
    app.register_blueprint(assets_pages)
    app.context_processor(frame_context)
    app.after_request(add_headers)


@assets_pages.get("/assets/<version>/<path:filename>")
def file(version: str, filename: str) -> Response:
    """A static file; an address with the present version may be kept for good."""
    response = send_from_directory(assets.STATIC_DIR, filename)
    if version == assets_version():
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def add_headers(response: Response) -> Response:
    """Headers that keep a page from being framed, sniffed, scripted or kept by proxies."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "DENY")
    if response.mimetype == "text/html":
        headers.setdefault("Cache-Control", "no-store")
    return response


def frame_context() -> dict[str, Any]:
    """What layout.html needs; nothing of the person before the log-in."""
    context: dict[str, Any] = {
        "preference_url": preference_url,
        "may": may,
        "hx_request": "HX-Request" in request.headers,
    }
    person = find_subject()
    if person is None:
        return context
    waiting = waiting_now(person)
    zone = current_preferences().zone
    return context | {
        "nav": menu(waiting),
        "viewer": viewer_of(person),
        "zone_in_view": zone,
        "zones": [(z, zone_name(z)) for z in ("all", "internet", "office", "classified")],
        "notice_count": waiting.total,
        "home_url": url_for("home.index"),
        "notices_url": url_for("home.index", _anchor="waiting"),
        "search_url": url_for("search.index"),
        "logout_url": url_for("auth.sign_out"),
        "token_url": url_for("account.token"),
    }


def waiting_now(person: Subject) -> Waiting:
    """What waits for the person, counted once a request."""
    if "waiting" not in g:
        plane = control_plane()
        with plane.db.read() as session:
            g.waiting = waiting_for(session, person, plane.clock())
    return g.waiting  # type: ignore[no-any-return]


def menu(waiting: Waiting) -> list[dict[str, Any]]:
    """The menu groups with only the entries that the person may open."""
    groups = []
    for title, entries in MENU:
        shown = [
            {
                "url": url_for(entry.endpoint),
                "label": entry.label,
                "icon": entry.icon,
                "badge": getattr(waiting, entry.badge) if entry.badge else 0,
                "current": is_current(entry),
            }
            for entry in entries
            if may(entry.action)
        ]
        if shown:
            groups.append({"title": title, "entries": shown})
    return groups


def is_current(entry: Entry) -> bool:
    """Whether the page in hand belongs to the entry: its own endpoint first, then its module."""
    endpoint = request.endpoint or ""
    if any(endpoint == other.endpoint for _title, entries in MENU for other in entries):
        return endpoint == entry.endpoint
    module = entry.endpoint.partition(".")[0] + "."
    firsts = {e.endpoint.partition(".")[0]: e for _t, es in reversed(MENU) for e in reversed(es)}
    is_first = firsts[module[:-1]] is entry
    return endpoint.startswith(entry.covers) or (is_first and endpoint.startswith(module))


def viewer_of(person: Subject) -> dict[str, str]:
    """The person in the top bar."""
    with control_plane().db.read() as session:
        department = find_department(session, person.department_id)
    names = dict.fromkeys(str(ROLE_NAMES[grant.role.value]) for grant in person.grants)
    english = current_preferences().language == "en"
    return {
        "name": person.name,
        "department_name": department.name_en if english else department.name_zh,
        "role_names": listed(names),
    }


def preference_url(name: str, value: str) -> str:
    """The address that keeps a preference and comes back to the page in hand."""
    back = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return url_for("preferences.choose", name=name, value=value, next=back)
