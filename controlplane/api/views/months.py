"""`/prices` and `/months`: what was held and what it cost."""

from __future__ import annotations

from typing import Any

from flask import Response

from controlplane import policy
from controlplane.api.routes import Routes, control_plane, current_subject
from controlplane.api.schemas.capacity import DepartmentHistorySchema
from controlplane.api.schemas.months import DepartmentMonthSchema, MonthSchema, PriceList
from controlplane.errors import NotFound
from controlplane.reports import month as reports
from controlplane.reports.history import department_history
from controlplane.reports.month import Month
from controlplane.reports.prices import list_prices as read_prices
from controlplane.tenancy.service import get_department

routes = Routes("months", "What was held in a month and what it cost")


@routes.get("/months/<month:month>", action="month.view", answer=MonthSchema)
def show_month(month: str) -> Month:
    """The month by department, the dearest first."""
    cp = control_plane()
    with cp.db.read() as session:
        return reports.month_of(session, current_subject(), *_parts(month), cp.clock())


@routes.get(
    "/months/<month:month>/departments/<id:department_id>",
    action="month.view",
    answer=DepartmentMonthSchema,
)
def show_department_month(month: str, department_id: int) -> dict[str, Any]:
    """A department's resources in the month with their ledger lines."""
    cp, subject = control_plane(), current_subject()
    with cp.db.read() as session:
        department = get_department(session, department_id)
        if not policy.is_allowed(subject, "month.view", department_path=department.path):
            raise NotFound
        rows = reports.department_month(session, subject, department_id, *_parts(month), cp.clock())
    return {
        "month": month,
        "department": department,
        "total_micro_yuan": sum(row.micro_yuan for row in rows),
        "resources": rows,
    }


@routes.get(
    "/months/<month:month>/departments/<id:department_id>/history",
    action="month.view",
    answer=DepartmentHistorySchema,
)
def show_department_history(month: str, department_id: int) -> dict[str, Any]:
    """What a department's subtree held at the end of each day of the month, beside its quota."""
    cp = control_plane()
    with cp.db.read() as session:
        department = get_department(session, department_id)
        history = department_history(
            session, current_subject(), department, *_parts(month), cp.clock()
        )
    zones = [{"zone": zone, "series": series} for zone, series in history.series.items()]
    return {
        "month": month,
        "department": department,
        "instants": history.instants,
        "zones": zones,
    }


@routes.get("/months/<month:month>.csv", action="month.view", content_type="text/csv")
def export_month(month: str) -> Response:
    """Every ledger line of the month for a spreadsheet: UTF-8 with BOM, money in yuan."""
    cp = control_plane()
    with cp.db.read() as session:
        text = reports.month_csv(session, current_subject(), *_parts(month), cp.clock())
    disposition = {"Content-Disposition": f'attachment; filename="usage-{month}.csv"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=disposition)


@routes.get("/prices", action="price.view", answer=PriceList)
def list_prices() -> dict[str, Any]:
    """Every dated price, by item, the newest first."""
    with control_plane().db.read() as session:
        return {"items": read_prices(session)}


def _parts(month: str) -> tuple[int, int]:
    year, number = month.split("-")
    return int(year), int(number)
