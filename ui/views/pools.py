"""资源池 and 配额: what is used, held and free, against declared capacity and the cloud's own."""

from __future__ import annotations

from flask import Blueprint, render_template

from controlplane.reports import pools as reports
from ui.session import allow, control_plane, subject

pools_pages = Blueprint("pools", __name__)


@pools_pages.get("/pools")
def index() -> str:
    """Every pool as bars."""
    allow("pool.view")
    with control_plane().db.read() as session:
        pools = reports.list_pools(session)
        return render_template(
            "pools/index.html",
            pools=[(pool, reports.capacity_differences(pool)) for pool in pools],
            city=reports.city_totals(session),
        )


@pools_pages.get("/quotas")
def quotas() -> str:
    """Quotas of the departments that the person may see."""
    allow("quota.view")
    with control_plane().db.read() as session:
        return render_template("pools/quotas.html", quotas=reports.list_quotas(session, subject()))
