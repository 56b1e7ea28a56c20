"""Many at once: whatever they do, nothing is over-committed, doubled, lost or stuck."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import sqlalchemy as sa

from controlplane import audit
from controlplane.admission.books import counter_differences
from controlplane.admission.models import Claim, PoolBound, QuotaBound
from controlplane.applying import apply_declared
from controlplane.approval.rules import Decision, Outcome
from controlplane.errors import AdmissionRefused, StateConflict
from controlplane.provisioning.models import DepartmentSite, Job, Resource
from controlplane.provisioning.service import lock_resource
from controlplane.quotas import load_quotas
from controlplane.reports.requests import request_story
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.service import lock_request, next_ordinal
from tests.factories import City, ask
from tests.functional.concurrently import at_once

WRITERS = 8


def books_are_right(city: City) -> None:
    with city.control_plane.db.read() as session:
        assert counter_differences(session) == []
        for bound in (
            *session.scalars(sa.select(PoolBound)),
            *session.scalars(sa.select(QuotaBound)),
        ):
            assert 0 <= bound.held + bound.allocated <= bound.capacity


def count(city: City, table: type, *conditions: sa.ColumnElement[bool]) -> int:
    with city.control_plane.db.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0


def pending_step(city: City, login: str, request_id: int) -> int:
    with city.control_plane.db.read() as session:
        step = request_story(session, city.person(login), request_id).pending_step
        assert step is not None
        return step.id


def lower(city: City, table: type[PoolBound] | type[QuotaBound], capacity: int) -> None:
    """Leaves this much of vCPU everywhere."""
    with city.control_plane.db.transaction() as session:
        session.execute(sa.update(table).where(table.dimension == "vcpu").values(capacity=capacity))


@pytest.mark.parametrize("bound", [QuotaBound, PoolBound])
def test_writers_share_what_is_left_and_not_more(
    city: City, bound: type[PoolBound] | type[QuotaBound]
) -> None:
    """Five of eight fit: five are taken in, three are told what is short."""
    lower(city, bound, 5)
    if bound is PoolBound:
        with city.control_plane.db.transaction() as session:
            session.execute(
                sa.update(PoolBound)
                .where(PoolBound.pool_code != "internet-a", PoolBound.dimension == "vcpu")
                .values(capacity=0)
            )
    done = at_once([partial(city.submit, submission_key=f"w{i}") for i in range(WRITERS)])
    assert Counter(type(x) for x in done) == {int: 5, AdmissionRefused: 3}
    for refused in (x for x in done if isinstance(x, AdmissionRefused)):
        assert {f.params["dimension"] for f in refused.faults if "dimension" in f.params} == {
            "vcpu"
        }
        assert all(f.params["free"] < 1 for f in refused.faults)
    assert count(city, ServiceRequest) == 5, "what was refused leaves nothing behind"
    books_are_right(city)


def test_departments_of_one_district_share_its_quota(city: City) -> None:
    with city.control_plane.db.transaction() as session:
        session.execute(
            sa.update(QuotaBound)
            .where(
                QuotaBound.department_id == city.department_id("laoshan"),
                QuotaBound.dimension == "vcpu",
            )
            .values(capacity=3)
        )
    bureau = city.department_id("laoshan-education")
    asking = [partial(city.submit, "sunhong")] * 4
    asking += [partial(city.submit, "sunhong", department_id=bureau)] * 4
    done = at_once(asking)
    assert Counter(type(x) for x in done) == {int: 3, AdmissionRefused: 5}
    books_are_right(city)


def test_the_same_form_from_many_windows_makes_one_request(city: City) -> None:
    done = at_once([partial(city.submit, submission_key="one-form")] * WRITERS)
    assert len({x for x in done if isinstance(x, int)}) == 1, done
    assert all(isinstance(x, int) for x in done), done
    assert count(city, ServiceRequest) == 1
    assert count(city, Claim, Claim.dimension == "vcpu") == 1
    books_are_right(city)


def test_a_draft_submitted_from_many_windows_is_submitted_once(city: City) -> None:
    limin = city.person("limin")
    draft = city.control_plane.pipeline.save_draft(limin, ask())
    done = at_once([partial(city.submit, request_id=draft)] * WRITERS)
    assert Counter(x if isinstance(x, int) else type(x) for x in done) == {
        draft: 1,
        StateConflict: WRITERS - 1,
    }
    books_are_right(city)


def test_of_two_approvers_at_once_one_wins_and_the_request_moves_once(city: City) -> None:
    request_id = city.submit()
    city.decide("zhangjing", request_id)
    step = pending_step(city, "wanglei", request_id)
    wanglei, decide = city.person("wanglei"), city.control_plane.pipeline.decide_request
    agree = partial(decide, wanglei, request_id, step, Decision.AGREE, "")
    refuse = partial(decide, wanglei, request_id, step, Decision.REFUSE, "不同意")
    done = at_once([agree, refuse, agree, refuse])
    won = [x for x in done if isinstance(x, Outcome)]
    assert len(won) == 1, done
    assert sum(isinstance(x, StateConflict) for x in done) == 3, done
    assert count(city, Resource) == (1 if won == [Outcome.APPROVED] else 0)
    books_are_right(city)


def test_deciding_and_withdrawing_at_once_end_in_one_of_the_two(city: City) -> None:
    pipeline = city.control_plane.pipeline
    for _ in range(3):
        request_id = city.submit()
        city.decide("zhangjing", request_id)
        step = pending_step(city, "wanglei", request_id)
        done = at_once(
            [
                partial(
                    pipeline.decide_request,
                    *(city.person("wanglei"), request_id, step, Decision.AGREE, ""),
                ),
                partial(pipeline.withdraw_request, city.person("limin"), request_id),
            ]
        )
        assert sum(isinstance(x, StateConflict) for x in done) == 1, done
    books_are_right(city)


def test_people_who_ask_approve_and_withdraw_at_once_never_block_each_other(city: City) -> None:
    """Every order of taking counters is tried: two writers that wait for each other would fail."""
    pipeline = city.control_plane.pipeline
    volumes = [{"size_gib": 10, "type": "ssd"}, {"size_gib": 20, "type": "standard"}]
    for _ in range(4):
        waiting = [city.submit(volumes=volumes) for _ in range(4)]
        leaving = [city.submit(volumes=volumes) for _ in range(2)]
        for request_id in waiting:
            city.decide("zhangjing", request_id)
        steps = {r: pending_step(city, "wanglei", r) for r in waiting}
        wanglei, limin = city.person("wanglei"), city.person("limin")
        done = at_once(
            [
                *(
                    partial(pipeline.decide_request, wanglei, r, step, Decision.AGREE, "")
                    for r, step in steps.items()
                ),
                *(partial(pipeline.withdraw_request, limin, r) for r in leaving),
                *[partial(city.submit, volumes=volumes)] * 2,
            ]
        )
        assert not [x for x in done if isinstance(x, Exception)], done
    books_are_right(city)


def test_destroying_and_asking_at_once_never_block_each_other(city: City) -> None:
    volumes = [{"size_gib": 10, "type": "ssd"}]
    ids = [city.delivered(volumes=volumes) for _ in range(3)]
    for resource_id in ids:
        city.control_plane.operations.retire_now(
            city.person("chengang"), resource_id, "低保核对系统"
        )
    done = at_once([city.deliver] * 3 + [partial(city.submit, volumes=volumes)] * 3)
    assert not [x for x in done if isinstance(x, Exception)], done
    books_are_right(city)


def test_numbers_have_no_gap_and_no_twin(city: City) -> None:
    db = city.control_plane.db

    def draw(good: bool) -> int | None:
        with db.transaction() as session:
            ordinal = next_ordinal(session, "SQ-2031")
            if not good:
                raise ZeroDivisionError
            return ordinal

    done = at_once([partial(draw, i % 4 != 3) for i in range(16)])
    drawn = sorted(x for x in done if isinstance(x, int))
    assert drawn == list(range(1, 13)), "what was rolled back is given out again"


def test_a_department_is_set_up_once_however_many_ask_at_once(city: City) -> None:
    done = at_once([city.submit] * WRITERS)
    assert all(isinstance(x, int) for x in done), done
    assert count(city, DepartmentSite) == 1
    assert count(city, Job, Job.action == "onboard") == 1


def test_two_workers_never_take_the_same_job(city: City) -> None:
    for _ in range(6):
        city.approve(city.submit())
    city.deliver()
    for _ in range(6):
        city.approve(city.submit())
    delivery = city.control_plane.delivery
    done = at_once([partial(delivery.claim, f"w:{i}") for i in range(WRITERS)])
    assert not [x for x in done if isinstance(x, Exception)], done
    taken = [run.job_id for run in done if run is not None and not isinstance(run, Exception)]
    assert len(taken) == len(set(taken))
    while (run := delivery.claim("w:rest")) is not None:
        taken.append(run.job_id)
    assert len(taken) == len(set(taken)) == 6


def test_quotas_applied_while_people_ask_count_everything(city: City) -> None:
    """A bound that appears over what is being asked just now starts with the right counters."""
    settings, db = city.control_plane.settings, city.control_plane.db
    declared = load_quotas(settings.quotas_dir)
    with db.transaction() as session:
        session.execute(
            sa.delete(QuotaBound).where(
                QuotaBound.department_id == city.department_id("civil-affairs")
            )
        )

    def apply_again() -> None:
        with db.transaction() as session:
            apply_declared(session, settings, declared, city.clock())

    done = at_once([*[city.submit] * 4, apply_again, *[city.submit] * 3])
    assert not [x for x in done if isinstance(x, Exception)], done
    books_are_right(city)


def test_events_written_while_others_are_sealed_all_get_their_place(city: City) -> None:
    db = city.control_plane.db

    def write(i: int) -> None:
        for k in range(5):
            with db.transaction() as session:
                audit.record(
                    session,
                    audit.SYSTEM,
                    "written",
                    at=city.clock(),
                    object_type="test",
                    object_id=f"{i}-{k}",
                )

    def seal() -> None:
        for _ in range(5):
            with db.transaction() as session:
                audit.seal_events(session, limit=7)

    done = at_once([seal, *(partial(write, i) for i in range(7))])
    assert not [x for x in done if isinstance(x, Exception)], done
    while True:
        with db.transaction() as session:
            if not audit.seal_events(session):
                break
    with db.read() as session:
        good, broken = audit.verify_chain(session)
    assert broken is None
    assert good == count(city, audit.AuditEvent)


def test_what_was_read_before_it_was_locked_is_read_again(city: City) -> None:
    """Else a decision would rest on what the row was before somebody else changed it."""
    resource_id = city.delivered()
    with city.control_plane.db.transaction() as session:
        resource = session.get_one(Resource, resource_id)
        request = session.get_one(ServiceRequest, resource.request_id)
        for table, row in ((Resource, resource), (ServiceRequest, request)):
            session.execute(
                sa.update(table)
                .where(table.id == row.id)
                .values(state="changed")
                .execution_options(synchronize_session=False)
            )
        assert lock_resource(session, resource.id).state == "changed"
        assert lock_request(session, request.id).state == "changed"
