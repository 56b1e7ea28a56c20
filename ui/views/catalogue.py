"""服务目录: every service by its category, with from how much, how long and what is needed."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from controlplane import messages
from controlplane.catalogue.services import Service
from controlplane.metering.service import load_segments
from controlplane.preparing import steps_ahead
from controlplane.reports.prices import cheapest_month
from ui.preferences import current_language
from ui.presentation import listed, words
from ui.session import allow, control_plane, may

catalogue_pages = Blueprint("catalogue", __name__)

CATEGORIES = (
    ("ISS", _("基础设施共享服务"), _("云主机、云硬盘、网络、机房托管")),
    ("PSS", _("平台共享服务"), _("数据库、中间件、容器、操作系统镜像")),
    ("ASS", _("应用共享服务"), _("由平台代为部署的通用应用，如网站")),
    ("DSS", _("数据共享服务"), _("经数据主管部门同意后使用的共享数据")),
)


@catalogue_pages.get("/catalogue")
def index() -> str:
    """The services as cards."""
    allow("catalogue.view")
    plane = control_plane()
    now = plane.clock()
    with plane.db.read() as session:
        segments = load_segments(session)
        services = [
            {
                "service": service,
                "from_micro_yuan": cheapest_month(segments, service, now),
                "absent": [
                    absent_text(service, e)
                    for e in sorted(service.absent_engines)
                    if e in service.engines
                ],
                "steps": steps_ahead(session, service.actions["provision"].approval_chain),
            }
            for service in plane.catalogue.values()
        ]
    groups = [
        {
            "code": code,
            "title": title,
            "about": about,
            "services": [s for s in services if s["service"].category == code],  # type: ignore[attr-defined]
        }
        for code, title, about in CATEGORIES
    ]
    return render_template("catalogue/index.html", groups=groups, may_apply=may("request.create"))


def absent_text(service: Service, engine: str) -> str:
    """What of a service is not offered, and why."""
    params = {"engine": messages.ENGINES[engine]}
    reason = messages.text_of("engine_absent", params, current_language())
    if not service.offered_engines:
        return reason
    plans = listed(words(plan["name"]) for plan in service.plans_on([engine]).values())
    return gettext("%(plans)s：%(reason)s", plans=plans, reason=reason)
