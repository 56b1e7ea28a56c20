"""How many statements a list takes: the same for one row and for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from controlplane.approval.rules import Decision
from controlplane.metering.models import UsageInterval
from controlplane.policy import Subject
from controlplane.provisioning.models import Job, JobStep, Resource
from controlplane.reports import (
    directory,
    inventory,
    month,
    people,
    pools,
    requests,
    resources,
    search,
    waiting,
)
from controlplane.service_requests.models import ServiceRequest
from tests.factories import City

ROWS = 200


@contextmanager
def statements(city: City) -> Iterator[list[str]]:
    """The SQL that is sent inside."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = city.control_plane.db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def copy(city: City, table: type, row: Any, **changes: Callable[[int], Any]) -> None:
    """Many rows like `row`, told apart by `changes`."""
    columns = {c.key: getattr(row, c.key) for c in sa.inspect(table).columns if c.key != "id"}
    with city.control_plane.db.transaction() as session:
        session.execute(
            sa.insert(table),
            [{**columns, **{k: make(i) for k, make in changes.items()}} for i in range(ROWS)],
        )


@pytest.fixture
def full(city: City) -> City:
    """One of everything as the stages make it, and many copies of each."""
    resource_id = city.delivered()
    city.submit()
    returned = city.submit()
    city.decide("zhangjing", returned, Decision.RETURN, "材料不全")
    city.clock.advance(days=1)
    with city.control_plane.db.read() as session:
        resource = session.get_one(Resource, resource_id)
        request = session.get_one(ServiceRequest, resource.request_id)
        job = session.scalars(sa.select(Job).where(Job.action == "provision")).one()
        of_cores = UsageInterval.item == "vcpu"
        interval = session.scalars(sa.select(UsageInterval).where(of_cores)).one()
    copy(
        city,
        ServiceRequest,
        request,
        number=lambda i: f"SQ-2026-9{i:05d}",
        submission_key=lambda _: None,
        state=lambda i: ("fulfilled", "returned", "refused")[i % 3],
    )
    copy(
        city,
        Resource,
        resource,
        id=lambda i: f"copy-{i}",
        number=lambda i: f"R-2026-9{i:05d}",
        outputs=lambda i: {"addresses": {"fixed": f"10.77.0.{i}"}},
    )
    copy(
        city,
        Job,
        job,
        number=lambda i: f"J-20261124-9{i:03d}",
        resource_id=lambda i: f"copy-{i}",
        state=lambda i: ("succeeded", "failed")[i % 2],
    )
    copy(city, UsageInterval, interval, resource_id=lambda i: f"copy-{i}")
    with city.control_plane.db.transaction() as session:
        for i in range(30):
            session.add(
                JobStep(job_id=job.id, attempt=1, ordinal=i, name="x", state="ok", started_ms=1)
            )
    return city


Query = Callable[[Session, Subject, City], Any]

#: what is asked, by whom, and how many statements it may take
BUDGETS: dict[str, tuple[str, Query, int]] = {
    "requests of a clerk": (
        "limin", lambda s, who, _: requests.list_requests(s, who, requests.RequestFilter()), 3),
    "requests of an approver": (
        "zhangjing", lambda s, who, _: requests.list_requests(s, who, requests.RequestFilter()), 3),
    "one request": ("limin", lambda s, who, _: requests.request_story(s, who, 1), 7),
    "to decide": ("zhangjing", lambda s, who, _: requests.to_decide(s, who), 4),
    "decided": ("zhangjing", lambda s, who, _: requests.decided(s, who), 5),
    "counts by state": ("limin", lambda s, who, _: requests.counts_by_state(s, who), 1),
    "resources": (
        "limin", lambda s, who, _: resources.list_resources(s, who, resources.ResourceFilter()), 2),
    "one resource": ("limin", lambda s, who, _: resources.resource_story(s, who, "copy-7"), 9),
    "expiring soon": (
        "limin",
        lambda s, who, c: resources.expiring_soon(s, who, c.clock() + timedelta(days=350)), 2),
    "jobs": ("chengang", lambda s, *_: resources.list_jobs(s), 2),
    "one job": ("chengang", lambda s, *_: resources.find_job(s, 2), 2),
    "pools": ("chengang", lambda s, *_: pools.list_pools(s), 2),
    "quotas": ("chengang", lambda s, who, _: pools.list_quotas(s, who), 1),
    "month": ("sunli", lambda s, who, c: month.month_of(s, who, 2026, 11, c.clock()), 4),
    "a department's month": (
        "sunli",
        lambda s, who, c: month.department_month(
            s, who, c.department_id("civil-affairs"), 2026, 11, c.clock()), 5),
    "the month's chart": (
        "sunli", lambda s, who, c: month.city_cost_by_day(s, who, 2026, 11, c.clock()), 3),
    "the month as CSV": (
        "sunli", lambda s, who, c: month.month_csv(s, who, 2026, 11, c.clock()), 12),
    "what waits": ("chengang", lambda s, who, c: waiting.waiting_for(s, who, c.clock()), 3),
    "search": ("limin", lambda s, who, _: search.find_anything(s, who, "R-2026"), 6),
    "people": ("chengang", lambda s, *_: people.list_people(s), 3),
    "audit trail": ("chengang", lambda s, *_: people.list_events(s), 2),
    "departments": (
        "limin", lambda s, who, _: directory.departments_for(s, who, "request.create"), 1),
    "inventory": ("chengang", lambda s, *_: inventory.ansible_inventory(s), 1),
}  # fmt: skip


@pytest.mark.any_database  # as many on every one
def test_a_list_of_many_takes_no_more_statements_than_its_budget(full: City) -> None:
    over = []
    for what, (login, query, budget) in BUDGETS.items():
        subject = full.person(login)
        with full.control_plane.db.read() as session, statements(full) as sent:
            query(session, subject, full)
        asked = [s for s in sent if not s.startswith(("BEGIN", "PRAGMA"))]
        if len(asked) > budget:
            over.append(f"{what}: {len(asked)}, may take {budget}")
    assert not over, "\n".join(over)


@pytest.mark.parametrize(
    "text",
    ["\x00", "%", "R_2026", "\\", "'; DROP TABLE job; --", "🏛️", "x" * 5000, "100%", "R-2026-9%"],
)
def test_what_is_searched_for_is_only_text(full: City, text: str) -> None:
    who = full.person("chengang")
    with full.control_plane.db.read() as session:
        found = search.find_anything(session, who, text)
        assert search.find_number(session, who, text) is None
        chosen = requests.RequestFilter(text=text)
        assert requests.list_requests(session, who, chosen).total == 0
    assert found.total == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [("sq-2026-900007", "requests"), ("R-2026-900007", "resources"), ("j-20261124-9007", "jobs"),
     ("10.77.0.77", "resources"), ("低保核对", "requests")],
)  # fmt: skip
def test_numbers_names_and_addresses_are_found(full: City, text: str, kind: str) -> None:
    with full.control_plane.db.read() as session:
        found = search.find_anything(session, full.person("chengang"), text)
    assert len(getattr(found, kind)) >= 1
