"""The way of one request, told in the words of those who go it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from controlplane.admission.books import counter_differences
from controlplane.admission.models import QuotaBound
from controlplane.approval.rules import Decision, Outcome
from controlplane.delivery import Refusal
from controlplane.errors import (
    AdmissionRefused,
    Forbidden,
    InvalidInput,
    NotFound,
    OwnRequest,
    StateConflict,
)
from controlplane.metering.models import UsageInterval
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.service import LeaseLost
from controlplane.reports.month import month_of
from controlplane.reports.requests import find_request, request_story
from controlplane.service_requests.models import ServiceRequest
from tests.factories import City, ask


def quota(city: City, code: str, dimension: str, zone: str = "internet") -> tuple[int, int]:
    """(held, allocated) of a department's quota."""
    with city.control_plane.db.read() as session:
        row = session.scalars(
            sa.select(QuotaBound).where(
                QuotaBound.department_id == city.department_id(code),
                QuotaBound.dimension == dimension,
                QuotaBound.zone == zone,
            )
        ).one()
        return row.held, row.allocated


def state_of(city: City, request_id: int) -> str:
    with city.control_plane.db.read() as session:
        return session.get_one(ServiceRequest, request_id).state


def books_are_right(city: City) -> None:
    with city.control_plane.db.read() as session:
        assert counter_differences(session) == []


def test_a_request_goes_from_form_to_bill(city: City) -> None:
    request_id = city.submit(volumes=[{"size_gib": 200, "type": "ssd"}])
    assert quota(city, "civil-affairs", "vcpu") == (1, 0)
    assert quota(city, "city", "storage_gib.ssd") == (200, 0)
    city.decide("zhangjing", request_id)
    assert state_of(city, request_id) == "in_approval"
    city.decide("wanglei", request_id)
    assert state_of(city, request_id) == "delivering"
    assert quota(city, "civil-affairs", "vcpu") == (0, 1)
    assert city.deliver() == ["onboard", "provision"]
    assert state_of(city, request_id) == "fulfilled"
    city.clock.advance(hours=1)
    finance = city.person("sunli")
    with city.control_plane.db.read() as session:
        month = month_of(session, finance, 2026, 11, city.clock())
        assert [d.department.code for d in month.departments] == ["civil-affairs"]
        # 1 core, 2 GiB, 40 GiB standard, 200 GiB ssd for one hour
        assert month.micro_yuan == 35_000 + 2 * 14_000 + 40 * 390 + 200 * 1_100
    books_are_right(city)


def test_a_form_sent_twice_makes_one_request(city: City) -> None:
    first = city.submit(submission_key="form-1")
    assert city.submit(submission_key="form-1") == first
    assert quota(city, "civil-affairs", "vcpu") == (1, 0)


def test_every_fault_of_a_form_is_named_at_once_and_nothing_changes(city: City) -> None:
    with pytest.raises(InvalidInput) as refused:
        city.submit(
            system_name="核对\n系统",
            plan="huge",
            disk_gib="ten",
            volumes=[{"size_gib": 0, "type": "tape"}, {"size_gib": 10**9, "type": "ssd"}],
            rack=1,
            zone="classified",
        )
    named = {(f.field, f.code) for f in refused.value.faults}
    assert named == {
        ("system_name", "field_control_characters"),
        ("plan", "field_choice"),
        ("disk_gib", "field_not_integer"),
        ("volumes.0.size_gib", "field_too_small"),
        ("volumes.0.type", "field_choice"),
        ("volumes.1.size_gib", "field_too_large"),
        ("rack", "field_unknown"),
        ("zone", "zone_not_offered"),
    }
    with city.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ServiceRequest)) == 0


def test_beyond_the_quota_each_dimension_says_what_is_free(city: City) -> None:
    for _ in range(10):
        city.submit(plan="large")
    with pytest.raises(AdmissionRefused) as refused:
        city.submit(plan="large", volumes=[{"size_gib": 4000, "type": "standard"}])
    short = {f.params["dimension"]: f.params for f in refused.value.faults}
    assert short["vcpu"]["asked"] == 4
    assert short["memory_mib"]["free"] == 163840 - 10 * 16384
    assert "storage_gib.standard" in short
    assert quota(city, "civil-affairs", "vcpu") == (40, 0)
    books_are_right(city)


@pytest.mark.parametrize(
    ("decision", "state"), [(Decision.REFUSE, "refused"), (Decision.RETURN, "returned")]
)
def test_a_no_needs_a_reason_and_gives_the_hold_back(
    city: City, decision: Decision, state: str
) -> None:
    request_id = city.submit()
    with pytest.raises(InvalidInput):
        city.decide("zhangjing", request_id, decision, "  ")
    city.decide("zhangjing", request_id, decision, "材料不全")
    assert state_of(city, request_id) == state
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    books_are_right(city)


def test_a_returned_request_is_completed_and_keeps_its_number(city: City) -> None:
    request_id = city.submit()
    with city.control_plane.db.read() as session:
        number = session.get_one(ServiceRequest, request_id).number
    city.decide("zhangjing", request_id, Decision.RETURN, "请缩小规格")
    assert city.submit(request_id=request_id, disk_gib=20) == request_id
    city.approve(request_id)
    with city.control_plane.db.read() as session:
        request = session.get_one(ServiceRequest, request_id)
        assert (request.number, request.state) == (number, "delivering")
    assert quota(city, "civil-affairs", "storage_gib.standard") == (0, 20)
    books_are_right(city)


def test_withdrawn_is_withdrawn(city: City) -> None:
    request_id = city.submit()
    limin, zhangjing = city.person("limin"), city.person("zhangjing")
    with city.control_plane.db.read() as session:
        step = request_story(session, zhangjing, request_id).pending_step
        assert step is not None
    city.control_plane.pipeline.withdraw_request(limin, request_id)
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    with pytest.raises(StateConflict):
        city.control_plane.pipeline.decide_request(
            zhangjing, request_id, step.id, Decision.AGREE, ""
        )
    with pytest.raises(StateConflict):
        city.control_plane.pipeline.withdraw_request(limin, request_id)


def test_of_two_approvers_at_once_one_wins(city: City) -> None:
    request_id = city.submit()
    zhangjing = city.person("zhangjing")
    with city.control_plane.db.read() as session:
        step = request_story(session, zhangjing, request_id).pending_step
        assert step is not None
    decide = city.control_plane.pipeline.decide_request
    assert decide(zhangjing, request_id, step.id, Decision.AGREE, "") is Outcome.NEXT_STEP
    with pytest.raises(StateConflict):
        decide(zhangjing, request_id, step.id, Decision.REFUSE, "不同意")


def test_nobody_decides_for_another_office_or_on_their_own_request(city: City) -> None:
    request_id = city.submit()
    zhangjing = city.person("zhangjing")
    with city.control_plane.db.read() as session:
        step = request_story(session, zhangjing, request_id).pending_step
        assert step is not None
    decide = city.control_plane.pipeline.decide_request
    for login, error in (("wanglei", Forbidden), ("limin", Forbidden), ("zhaoguodong", NotFound)):
        with pytest.raises(error):
            decide(city.person(login), request_id, step.id, Decision.AGREE, "")
    with city.control_plane.db.transaction() as session:
        session.get_one(ServiceRequest, request_id).applicant_id = zhangjing.person_id
    with pytest.raises(OwnRequest):
        decide(zhangjing, request_id, step.id, Decision.AGREE, "")


def test_another_department_sees_nothing(city: City) -> None:
    request_id = city.submit()
    with city.control_plane.db.read() as session, pytest.raises(NotFound):
        find_request(session, city.person("zhaoguodong"), request_id)
    resource_id = city.delivered()
    with pytest.raises(NotFound):
        city.control_plane.operations.operate_resource(
            city.person("zhaoguodong"), resource_id, "power_off", {}
        )
    with pytest.raises(NotFound):
        city.submit("zhaoguodong", action="change", resource_id=resource_id, plan="large")


def test_a_draft_is_submitted_once_and_stays_with_its_department(city: City) -> None:
    limin, pipeline = city.person("limin"), city.control_plane.pipeline
    draft_id = pipeline.save_draft(limin, ask(submission_key="form-7", plan="nonsense"))
    assert pipeline.save_draft(limin, ask(submission_key="form-7")) == draft_id
    assert city.submit(submission_key="form-7") == draft_id
    assert state_of(city, draft_id) == "in_approval"
    with pytest.raises(NotFound):
        pipeline.save_draft(city.person("zhaoguodong"), ask(request_id=draft_id))


def test_a_district_changes_what_its_bureau_has_on_the_bureau_s_quota(city: City) -> None:
    resource_id = city.delivered("sunhong", department_id=city.department_id("laoshan-education"))
    change = ask(action="change", resource_id=resource_id)
    change = type(change)(**{**change.__dict__, "form": {"plan": "large"}})
    city.control_plane.pipeline.submit_request(city.person("sunhong"), change)
    assert quota(city, "laoshan-education", "vcpu") == (3, 1)
    assert quota(city, "laoshan", "vcpu") == (3, 1)
    books_are_right(city)


def test_a_change_is_admitted_by_its_difference_and_metered_from_then_on(city: City) -> None:
    resource_id = city.delivered()
    city.clock.advance(hours=1)
    limin = city.person("limin")
    change = ask(action="change", resource_id=resource_id)
    grown = type(change)(**{**change.__dict__, "form": {"plan": "large"}})
    request_id = city.control_plane.pipeline.submit_request(limin, grown)
    assert quota(city, "civil-affairs", "vcpu") == (3, 1)
    city.decide("zhangjing", request_id)
    assert city.deliver() == ["change"]
    assert quota(city, "civil-affairs", "vcpu") == (0, 4)
    shrunk = type(change)(**{**change.__dict__, "form": {"plan": "small"}})
    request_id = city.control_plane.pipeline.submit_request(limin, shrunk)
    assert quota(city, "civil-affairs", "vcpu") == (0, 4), "a hold never shrinks before it is done"
    city.decide("zhangjing", request_id)
    city.clock.advance(hours=1)
    city.deliver()
    assert quota(city, "civil-affairs", "vcpu") == (0, 1)
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(UsageInterval).where(UsageInterval.item == "vcpu").order_by(UsageInterval.t0)
        ).all()
        assert [(r.quantity, None if r.t1 is None else r.t1 - r.t0) for r in rows] == [
            (1, 3600),
            (4, 3600),
            (1, None),
        ]
    books_are_right(city)


def test_a_volume_never_shrinks_and_a_change_changes_something(city: City) -> None:
    resource_id = city.delivered(volumes=[{"size_gib": 10, "type": "ssd"}])
    limin = city.person("limin")
    for form, code in (
        ({"volumes": [{"size_gib": 9, "type": "ssd"}]}, "volume_cannot_shrink"),
        ({"volumes": []}, "volume_cannot_shrink"),
        ({"volumes": [{"size_gib": 10, "type": "standard"}]}, "field_fixed"),
        ({"plan": "small"}, "nothing_changes"),
    ):
        change = ask(action="change", resource_id=resource_id)
        change = type(change)(**{**change.__dict__, "form": form})
        with pytest.raises(InvalidInput) as refused:
            city.control_plane.pipeline.submit_request(limin, change)
        assert [f.code for f in refused.value.faults] == [code]


def test_a_build_that_fails_for_good_is_cleaned_up_and_gives_everything_back(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    city.control_plane.delivery.complete(run, {})
    assert city.fail_jobs() == ["provision"] * 3
    assert state_of(city, request_id) == "failed"
    assert quota(city, "civil-affairs", "vcpu") == (0, 1), "the cloud is not known to be clean yet"
    assert city.deliver() == ["retire"]
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    with city.control_plane.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageInterval)) == 0
    books_are_right(city)


def test_a_change_that_fails_goes_back_to_what_was(city: City) -> None:
    resource_id = city.delivered()
    change = ask(action="change", resource_id=resource_id)
    change = type(change)(**{**change.__dict__, "form": {"plan": "large"}})
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), change)
    city.decide("zhangjing", request_id)
    assert city.fail_jobs() == ["change"] * 3
    assert city.deliver() == ["change"]
    with city.control_plane.db.read() as session:
        resource = session.get_one(Resource, resource_id)
        assert (resource.state, resource.spec["plan"]["code"]) == ("active", "small")
    assert quota(city, "civil-affairs", "vcpu") == (0, 1)
    books_are_right(city)


def test_a_worker_that_lost_its_lease_changes_nothing(city: City) -> None:
    city.submit()
    delivery = city.control_plane.delivery
    slow = delivery.claim("slow:1")
    assert slow is not None
    assert delivery.claim("other:1") is None
    city.clock.advance(seconds=31)
    quick = delivery.claim("other:1")
    assert quick is not None
    assert quick.job_id == slow.job_id
    for lost in (lambda: delivery.complete(slow, {}), lambda: delivery.beat(slow)):
        with pytest.raises(LeaseLost):
            lost()
    delivery.complete(quick, {})


def test_a_job_whose_worker_dies_at_every_try_ends(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    delivery = city.control_plane.delivery
    run = delivery.claim("a:1")
    assert run is not None
    delivery.complete(run, {})
    for _ in range(3):
        run = delivery.claim("a:1")
        assert run is not None
        assert run.refusal is None
        city.clock.advance(minutes=1)
    last = delivery.claim("a:1")
    assert last is not None
    assert last.refusal == Refusal("its worker died at every try", is_final=True)
    assert last.was_taken_before
    assert city.deliver() == [], "the worker first ends what may still run of it"
    delivery.fail(last, last.refusal.reason, final=True)
    assert city.deliver() == ["retire"]
    assert state_of(city, request_id) == "failed"


def test_an_order_outlives_a_cloud_that_does_not_answer_but_not_for_ever(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    delivery = city.control_plane.delivery
    onboarding = delivery.claim("test:1")
    assert onboarding is not None
    delivery.complete(onboarding, {})
    for _ in range(10):
        run = delivery.claim("test:1")
        assert run is not None
        assert not delivery.wait_for_cloud(run, "nobody answers")
        assert delivery.claim("test:1") is None, "not before its time"
        city.clock.advance(minutes=11)
    assert state_of(city, request_id) == "delivering"
    city.clock.advance(hours=24)
    for attempt in (11, 12, 13):
        run = delivery.claim("test:1")
        assert run is not None
        assert run.attempt == attempt
        assert delivery.wait_for_cloud(run, "nobody answers") == (attempt == 13)
        city.clock.advance(minutes=11)
    assert state_of(city, request_id) == "failed"
    books_are_right(city)


def test_retiring_stops_first_and_destroys_after_the_grace_period(city: City) -> None:
    resource_id = city.delivered()
    limin, operations = city.person("limin"), city.control_plane.operations
    with pytest.raises(InvalidInput):
        operations.retire_resource(limin, resource_id, "别的名字")
    operations.retire_resource(limin, resource_id, "低保核对系统")
    assert city.deliver() == ["power_off"]
    city.clock.advance(days=6)
    assert operations.destroy_due() == 0
    operations.cancel_retirement(limin, resource_id)
    assert city.deliver() == ["power_on"]
    operations.retire_resource(limin, resource_id, "低保核对系统")
    city.deliver()
    city.clock.advance(days=7)
    assert operations.destroy_due() == 1
    assert city.deliver() == ["retire"]
    with city.control_plane.db.read() as session:
        resource = session.get_one(Resource, resource_id)
        assert resource.state == "retired"
        rows = session.scalars(sa.select(UsageInterval)).all()
        seconds = timedelta(days=13).total_seconds()
        assert {row.t1 - row.t0 for row in rows if row.t1} == {seconds}
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    books_are_right(city)


def test_an_engineer_destroys_at_once_a_clerk_does_not(city: City) -> None:
    resource_id = city.delivered()
    operations = city.control_plane.operations
    with pytest.raises(Forbidden):
        operations.retire_now(city.person("limin"), resource_id, "低保核对系统")
    operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    assert city.deliver() == ["retire"]


def test_one_action_at_a_time(city: City) -> None:
    resource_id = city.delivered()
    limin, operations = city.person("limin"), city.control_plane.operations
    operations.operate_resource(limin, resource_id, "power_off", {})
    with pytest.raises(StateConflict):
        operations.operate_resource(limin, resource_id, "power_off", {})
    city.deliver()
    with city.control_plane.db.read() as session:
        assert session.get_one(Resource, resource_id).state == "stopped"


def test_a_job_cancelled_before_it_began_gives_everything_back_at_once(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    engineer = city.person("chengang")
    with city.control_plane.db.read() as session:
        job = session.scalars(sa.select(Job).where(Job.action == "provision")).one()
    city.control_plane.operations.cancel_job(engineer, job.id)
    assert city.deliver() == ["onboard"], "there is nothing on the cloud to clean up"
    assert state_of(city, request_id) == "failed"
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    books_are_right(city)


def test_a_job_cancelled_between_its_tries_is_cleaned_up(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    delivery = city.control_plane.delivery
    onboard = delivery.claim("test:1")
    assert onboard is not None
    delivery.complete(onboard, {})
    run = delivery.claim("test:1")
    assert run is not None
    delivery.fail(run, "no valid host")
    city.control_plane.operations.cancel_job(city.person("chengang"), run.job_id)
    assert city.deliver() == ["retire"], "though its next try would not be due yet"
    assert state_of(city, request_id) == "failed"
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    books_are_right(city)


def test_a_change_cancelled_before_it_began_leaves_the_resource_as_it_was(city: City) -> None:
    resource_id = city.delivered()
    change = ask(action="change", resource_id=resource_id)
    change = type(change)(**{**change.__dict__, "form": {"plan": "large"}})
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), change)
    city.decide("zhangjing", request_id)
    with city.control_plane.db.read() as session:
        job = session.scalars(sa.select(Job).where(Job.action == "change")).one()
    city.control_plane.operations.cancel_job(city.person("chengang"), job.id)
    assert city.deliver() == []
    with city.control_plane.db.read() as session:
        resource = session.get_one(Resource, resource_id)
        assert (resource.state, resource.spec["plan"]["code"]) == ("active", "small")
    assert quota(city, "civil-affairs", "vcpu") == (0, 1)
    books_are_right(city)


def test_an_order_whose_department_cannot_be_set_up_can_be_cancelled(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    assert city.fail_jobs() == ["onboard"] * 3
    with city.control_plane.db.read() as session:
        job = session.scalars(sa.select(Job).where(Job.action == "provision")).one()
    city.control_plane.operations.cancel_job(city.person("chengang"), job.id)
    assert city.deliver() == []
    assert state_of(city, request_id) == "failed"
    assert quota(city, "civil-affairs", "vcpu") == (0, 0)
    books_are_right(city)


def test_a_job_of_a_service_that_is_not_offered_waits_and_blocks_nobody(city: City) -> None:
    first, second = city.submit(), city.submit()
    city.approve(first)
    with city.control_plane.db.transaction() as session:
        job = session.scalars(sa.select(Job).where(Job.action == "provision")).one()
        job.service = "gone"
    city.approve(second)
    assert city.deliver() == ["onboard", "provision"]
    assert (state_of(city, first), state_of(city, second)) == ("delivering", "fulfilled")
    with city.control_plane.db.transaction() as session:
        waiting = session.get_one(Job, job.id)
        assert (waiting.state, waiting.attempt) == ("queued", 0)
        assert "not in the catalogue" in waiting.error
