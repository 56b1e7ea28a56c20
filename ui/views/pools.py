"""资源池 and 配额: what is used, held and free, how it came to that, and what would still fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext

from controlplane.admission.models import Pool
from controlplane.engines import MEASURED
from controlplane.reports import history as histories
from controlplane.reports import pools as reports
from controlplane.reports.history import History
from controlplane.reports.pools import PlanFit
from controlplane.reports.rules import Outlook
from ui.held_charts import held_chart
from ui.session import allow, control_plane, subject

pools_pages = Blueprint("pools", __name__)

HISTORY_DAYS = 30


@dataclass(frozen=True)
class PoolCard:
    """A pool with all that its card says; `chart` None: it held nothing in `HISTORY_DAYS`."""

    pool: Pool
    is_measured: bool
    differences: dict[str, tuple[int, int]]
    chart: dict[str, Any] | None
    outlooks: dict[str, Outlook | None]
    fits: list[PlanFit]


@pools_pages.get("/pools")
def index() -> str:
    """Every pool as bars, with its last days, where it is heading, and what would still fit."""
    allow("pool.view")
    plane = control_plane()
    with plane.db.read() as session:
        pools = reports.list_pools(session)
        history = histories.pools_history(session, pools, plane.clock(), HISTORY_DAYS)
        return render_template(
            "pools/index.html",
            cards=[card_of(pool, history) for pool in pools],
            city=reports.city_totals(session),
            days=HISTORY_DAYS,
        )


def card_of(pool: Pool, history: History) -> PoolCard:
    """What one pool's card says."""
    return PoolCard(
        pool,
        pool.engine in MEASURED,
        dict(reports.capacity_differences(pool)),
        held_chart(history, pool.code, gettext("总量"), pool.warning_percent),
        histories.outlooks(history, pool),
        reports.what_fits(control_plane().catalogue, pool),
    )


@pools_pages.get("/quotas")
def quotas() -> str:
    """Quotas of the departments that the person may see."""
    allow("quota.view")
    with control_plane().db.read() as session:
        return render_template("pools/quotas.html", quotas=reports.list_quotas(session, subject()))
