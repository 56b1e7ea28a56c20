"""Changes of what one has, while other things happen to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controlplane.admission.books import counter_differences
from controlplane.approval.rules import Decision
from controlplane.config import CHECKOUT
from controlplane.errors import InvalidInput, ResourceBusy, StateConflict
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource
from controlplane.service_requests.models import ServiceRequest
from tests.factories import City, ask, open_city
from tests.functional.concurrently import at_once


def change_of(resource_id: str, **form: Any) -> Ask:
    """A change of a drill machine that asks for `form` and nothing else."""
    asked = ask(action="change", resource_id=resource_id)
    return type(asked)(**{**asked.__dict__, "form": form})


def resource(city: City, resource_id: str) -> Resource:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id)


def request_state(city: City, request_id: int) -> str:
    with city.control_plane.db.read() as session:
        return session.get_one(ServiceRequest, request_id).state


def books_are_right(city: City) -> None:
    with city.control_plane.db.read() as session:
        assert counter_differences(session) == []


def test_of_two_changes_of_one_resource_at_once_one_is_taken_in(city: City) -> None:
    resource_id = city.delivered()
    submit, limin = city.control_plane.pipeline.submit_request, city.person("limin")
    done = at_once([partial(submit, limin, change_of(resource_id, plan="large"))] * 6)
    assert sum(isinstance(x, int) for x in done) == 1, done
    assert sum(isinstance(x, StateConflict) for x in done) == 5, done
    books_are_right(city)


def test_what_was_destroyed_meanwhile_is_changed_no_more_and_the_request_can_be_refused(
    city: City,
) -> None:
    resource_id = city.delivered()
    request_id = city.control_plane.pipeline.submit_request(
        city.person("limin"), change_of(resource_id, plan="large")
    )
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    with pytest.raises(StateConflict):
        city.decide("zhangjing", request_id)
    city.deliver()
    with pytest.raises(StateConflict):
        city.decide("zhangjing", request_id)
    assert resource(city, resource_id).state == "retired"
    city.decide("zhangjing", request_id, Decision.REFUSE, "主机已销毁")
    assert request_state(city, request_id) == "refused"
    books_are_right(city)


def test_a_change_is_approved_once_the_action_that_runs_has_ended(city: City) -> None:
    resource_id = city.delivered()
    request_id = city.control_plane.pipeline.submit_request(
        city.person("limin"), change_of(resource_id, plan="large")
    )
    city.control_plane.operations.operate_resource(
        city.person("limin"), resource_id, "power_off", {}
    )
    with pytest.raises(ResourceBusy):
        city.decide("zhangjing", request_id)
    city.deliver()
    city.decide("zhangjing", request_id)
    city.deliver()
    assert resource(city, resource_id).state == "stopped", "it stays as the person left it"
    assert resource(city, resource_id).spec["plan"]["code"] == "large"


@pytest.fixture
def real_services(tmp_path: Path, sample_url: str) -> Any:
    made = open_city(tmp_path, sample_url, CHECKOUT / "playbooks" / "services")
    yield made
    made.control_plane.db.dispose()


def ask_for(service: str, **form: Any) -> Ask:
    return Ask(service=service, action="provision", zone="internet", form=form)


def approve(city: City, request_id: int) -> None:
    """One office or both, as the service's chain is."""
    for login in ("zhangjing", "wanglei"):
        if request_state(city, request_id) == "in_approval":
            city.decide(login, request_id)


def deliver(city: City, login: str, asked: Ask) -> str:
    request_id = city.control_plane.pipeline.submit_request(city.person(login), asked)
    approve(city, request_id)
    city.deliver()
    with city.control_plane.db.read() as session:
        resource_id = session.get_one(ServiceRequest, request_id).resource_id
        assert resource_id is not None
        return resource_id


def test_growing_a_volume_keeps_what_was_attached_meanwhile(real_services: City) -> None:
    city, limin = real_services, real_services.person("limin")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhX8r8rkzVZ0v7vG0O5aVd6jF3mFq0v8bq1vC5bq1vC clerk"
    vm = ask_for("vm", system_name="核对", plan="small", image="lab-tiny", ssh_public_key=key)
    vm_id = deliver(city, "limin", vm)
    volume_id = deliver(city, "limin", ask_for("volume", system_name="数据", size_gib=10))
    grow = Ask("volume", "change", "internet", {"size_gib": 20}, resource_id=volume_id)
    request_id = city.control_plane.pipeline.submit_request(limin, grow)
    city.control_plane.operations.operate_resource(limin, volume_id, "attach", {"attach_to": vm_id})
    city.deliver()
    approve(city, request_id)
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.extravars["spec"] == {**run.extravars["previous_spec"], "size_gib": 20}
    assert run.extravars["related"]["vm"]["resource_id"] == vm_id
    city.control_plane.delivery.complete(run, {})
    volume = resource(city, volume_id)
    assert (volume.spec["size_gib"], volume.spec["attach_to"]) == (20, vm_id)
    assert volume.parent_id == vm_id


def test_what_something_is_being_attached_to_cannot_be_retired_meanwhile(
    real_services: City,
) -> None:
    city, limin = real_services, real_services.person("limin")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhX8r8rkzVZ0v7vG0O5aVd6jF3mFq0v8bq1vC5bq1vC clerk"
    vm = ask_for("vm", system_name="核对", plan="small", image="lab-tiny", ssh_public_key=key)
    vm_id = deliver(city, "limin", vm)
    volume_id = deliver(city, "limin", ask_for("volume", system_name="数据", size_gib=10))
    operations = city.control_plane.operations
    operations.operate_resource(limin, volume_id, "attach", {"attach_to": vm_id})
    with pytest.raises(InvalidInput) as refusal:
        operations.retire_resource(limin, vm_id, "核对")
    assert [(f.code, "数据" in f.params["names"]) for f in refusal.value.faults] == [
        ("has_dependents", True)
    ]
    city.fail_jobs()
    assert resource(city, volume_id).parent_id is None
    operations.retire_resource(limin, vm_id, "核对")
    with pytest.raises((InvalidInput, StateConflict)):
        operations.operate_resource(limin, volume_id, "attach", {"attach_to": vm_id})
