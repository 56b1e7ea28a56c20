"""财务: the month by department, a department's resources, a resource's intervals; prices; CSV."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from controlplane.clock import LOCAL_ZONE
from controlplane.errors import NotFound
from controlplane.reports import month as reports
from controlplane.reports.directory import departments_for, find_department
from controlplane.reports.history import department_history
from controlplane.reports.month_detail import resource_month
from controlplane.reports.pools import city_totals
from controlplane.reports.prices import item_names, list_prices
from controlplane.tenancy.models import Department
from ui.held_charts import ZoneChart, zone_charts
from ui.preferences import current_language
from ui.session import allow, control_plane, may, subject
from ui.use_charts import month_shares, used_amount

finance_pages = Blueprint("finance", __name__)


@finance_pages.get("/months")
def month() -> str:
    """The running month."""
    return month_of(this_month())


def this_month() -> str:
    """The running month of Asia/Shanghai as `2026-11`."""
    return control_plane().clock().astimezone(LOCAL_ZONE).strftime("%Y-%m")


def parse_month(month: str) -> tuple[int, int]:
    """`2026-11` as numbers. Errors: NotFound."""
    year, dash, number = month.partition("-")
    if not (dash and year.isdecimal() and number.isdecimal() and len(year) == 4):
        raise NotFound
    if not 1 <= int(number) <= 12 or not 2000 <= int(year) <= 2999:
        raise NotFound
    return int(year), int(number)


def neighbour(month: str, step: int) -> str:
    """The month before (-1) or after (+1)."""
    year, number = parse_month(month)
    index = year * 12 + number - 1 + step
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


@finance_pages.get("/months/<month>")
def month_of(month: str) -> str:
    """The month by department, with its days as a chart."""
    allow("month.view")
    year, number = parse_month(month)
    plane = control_plane()
    now = plane.clock()
    with plane.db.read() as session:
        current = reports.month_of(session, subject(), year, number, now)
        before = reports.month_of(session, subject(), *parse_month(neighbour(month, -1)), now)
        to_come = reports.cost_to_come(session, subject(), current)
        days = reports.city_cost_by_day(session, subject(), year, number, now)
        items = item_names(session)
        choices = departments_for(session, subject(), "month.view")
        chosen = chosen_department(choices)
        return render_template(
            "finance/month.html",
            month=month,
            choices=choices,
            chosen=chosen,
            held=held_charts(session, chosen, month) if chosen else [],
            current=current,
            before={d.department.id: d for d in before.departments},
            before_total=before.micro_yuan,
            expected=current.micro_yuan + to_come,
            items=items,
            chart=chart_of(days, items),
            bars=department_bars(current, month),
            city=city_totals(session) if may("pool.view") else {},
            previous=neighbour(month, -1),
            following=neighbour(month, 1) if current.is_running is False else "",
        )


def chosen_department(choices: list[Department]) -> Department | None:
    """The department in `?department=`, else the person's own, else the topmost one."""
    by_id = {department.id: department for department in choices}
    wanted = request.args.get("department", default=0, type=int)
    own = subject().department_id if may("request.create") else 0
    return by_id.get(wanted) or by_id.get(own) or next(iter(choices), None)


def held_charts(session: Session, department: Department, month: str) -> list[ZoneChart]:
    """What the department's subtree held day by day in the month, a chart a zone."""
    year, number = parse_month(month)
    now = control_plane().clock()
    return zone_charts(department_history(session, subject(), department, year, number, now))


def chart_of(
    days: list[tuple[str, dict[str, int]]], items: dict[str, tuple[str, str, str]]
) -> dict[str, Any]:
    """Cost by day and item for charts.js, in yuan."""
    index = 1 if current_language() == "en" else 0
    used = [item for item in items if any(item in costs for _, costs in days)]
    return {
        "kind": "bars",
        "unit": "¥",
        "labels": [day for day, _ in days],
        "series": [
            {
                "name": items[item][index],
                "values": [round(costs.get(item, 0) / 1e6, 2) for _, costs in days],
            }
            for item in used
        ],
    }


def department_bars(current: reports.Month, month: str) -> dict[str, Any]:
    """Cost by department for charts.js; each bar opens the department."""
    index = "name_en" if current_language() == "en" else "name_zh"
    shown = current.departments[:12]
    return {
        "kind": "bars",
        "unit": "¥",
        "labels": [getattr(d.department, index) for d in shown],
        "series": [
            {"name": gettext("费用"), "values": [round(d.micro_yuan / 1e6, 2) for d in shown]}
        ],
        "links": [
            url_for("finance.department", month=month, department_id=d.department.id) for d in shown
        ],
    }


@finance_pages.get("/months/<month>/departments/<int:department_id>")
def department(month: str, department_id: int) -> str:
    """A department's resources in the month, the dearest first."""
    allow("month.view")
    year, number = parse_month(month)
    plane = control_plane()
    with plane.db.read() as session:
        rows = reports.department_month(
            session, subject(), department_id, year, number, plane.clock()
        )
        found = find_department(session, department_id)
        return render_template(
            "finance/department.html",
            month=month,
            department=found,
            held=held_charts(session, found, month),
            rows=rows,
            total=sum(row.micro_yuan for row in rows),
            shares={row.resource.id: month_shares(row.used, row.lines) for row in rows if row.used},
            items=item_names(session),
            services=plane.catalogue.known,
        )


@finance_pages.get("/months/<month>/resources/<resource_id>")
def resource(month: str, resource_id: str) -> str:
    """A resource's ledger lines and the intervals they are made of."""
    allow("month.view")
    year, number = parse_month(month)
    plane = control_plane()
    with plane.db.read() as session:
        detail = resource_month(session, subject(), resource_id, year, number, plane.clock())
        return render_template(
            "finance/resource.html",
            month=month,
            detail=detail,
            items=item_names(session),
            used_amount=used_amount,
        )


@finance_pages.get("/months/<month>.csv")
def csv(month: str) -> Response:
    """Every ledger line of the month, for a spreadsheet."""
    allow("month.view")
    year, number = parse_month(month)
    plane = control_plane()
    with plane.db.read() as session:
        text = reports.month_csv(session, subject(), year, number, plane.clock())
    response = make_response(text)
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="month-{month}.csv"'
    return response


@finance_pages.get("/prices")
def prices() -> str:
    """The price list with its dated segments."""
    allow("price.view")
    with control_plane().db.read() as session:
        return render_template("finance/prices.html", prices=list_prices(session))
