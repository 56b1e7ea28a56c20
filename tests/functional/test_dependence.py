"""One resource standing on another, from the form to the run: what is below stays, large enough."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.app import create_app
from controlplane.approval.rules import Decision
from controlplane.config import CHECKOUT
from controlplane.errors import DependenceRefused, InvalidInput
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from tests.factories import City, open_city
from tests.functional.concurrently import at_once
from tests.functional.test_changes import (
    approve,
    ask_for,
    books_are_right,
    deliver,
    request_state,
    resource,
)
from tests.functional.test_lease_ends import after_the_end, state
from tests.functional.test_ui_pages import lint, sign_in

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHhX8r8rkzVZ0v7vG0O5aVd6jF3mFq0v8bq1vC5bq1vC clerk"
NEEDS = "base_needs:\n  vcpu: 2\n  memory_mib: 4096\nresource_name:"


@pytest.fixture
def city(tmp_path: Path, sample_url: str) -> Iterator[City]:
    """The real services, whose volume needs something of its machine."""
    services = tmp_path / "playbooks" / "services"
    shutil.copytree(CHECKOUT / "playbooks" / "services", services)
    volume = services / "volume" / "service.yml"
    volume.write_text(volume.read_text().replace("resource_name:", NEEDS))
    made = open_city(tmp_path, sample_url, services)
    yield made
    made.control_plane.db.dispose()


def machine(city: City, name: str = "核对", plan: str = "standard") -> str:
    asked = ask_for("vm", system_name=name, plan=plan, image="lab-tiny", ssh_public_key=KEY)
    return deliver(city, "limin", asked)


def volume_on(city: City, vm_id: str) -> int:
    """The id of a request for a volume that shall stand on a machine, in approval."""
    asked = ask_for("volume", system_name="数据", size_gib=10, attach_to=vm_id)
    return city.control_plane.pipeline.submit_request(city.person("limin"), asked)


def faults_of(refusal: pytest.ExceptionInfo[Any]) -> list[str]:
    return [f.code for f in refusal.value.faults]


def change(vm_id: str, **form: Any) -> Any:
    asked = ask_for("vm", **form)
    return type(asked)(**{**asked.__dict__, "action": "change", "resource_id": vm_id})


def test_the_form_says_why_a_machine_that_leaves_cannot_be_stood_on(city: City) -> None:
    vm_id = machine(city)
    city.control_plane.operations.retire_resource(city.person("limin"), vm_id, "核对")
    with pytest.raises(InvalidInput) as refusal:
        volume_on(city, vm_id)
    assert [(f.code, f.field) for f in refusal.value.faults] == [("base_leaving", "attach_to")]


def test_another_departments_machine_is_no_choice_and_nothing_is_said_of_it(city: City) -> None:
    vm_id = machine(city)
    city.control_plane.operations.retire_resource(city.person("limin"), vm_id, "核对")
    asked = ask_for("volume", system_name="数据", size_gib=10, attach_to=vm_id)
    with pytest.raises(InvalidInput) as refusal:
        city.control_plane.pipeline.submit_request(city.person("zhaoguodong"), asked)
    assert faults_of(refusal) == ["field_choice"]


def test_the_form_says_that_a_machine_is_too_small(city: City) -> None:
    with pytest.raises(InvalidInput) as refusal:
        volume_on(city, machine(city, plan="small"))
    assert [(f.code, f.params["dimension"]) for f in refusal.value.faults] == [
        ("base_too_small", "memory_mib"),
        ("base_too_small", "vcpu"),
    ]


def test_a_machine_retired_before_the_approval_refuses_it_and_the_request_can_be_refused(
    city: City,
) -> None:
    vm_id = machine(city)
    request_id = volume_on(city, vm_id)
    city.control_plane.operations.retire_resource(city.person("limin"), vm_id, "核对")
    with pytest.raises(DependenceRefused) as refusal:
        approve(city, request_id)
    assert faults_of(refusal) == ["base_leaving"]
    assert request_state(city, request_id) == "in_approval"
    books_are_right(city)
    city.decide("zhangjing", request_id, Decision.REFUSE, "主机已退订")
    books_are_right(city)


def test_of_an_approval_and_a_retirement_at_once_one_is_refused(city: City) -> None:
    vm_id = machine(city)
    request_id = volume_on(city, vm_id)
    limin = city.person("limin")

    def retire() -> str:
        city.control_plane.operations.retire_resource(limin, vm_id, "核对")
        return "retired"

    def agree() -> str:
        approve(city, request_id)
        return "approved"

    done = at_once([agree, retire])
    won = [x for x in done if isinstance(x, str)]
    assert len(won) == 1, done
    [refused] = [x for x in done if x not in won]
    assert isinstance(refused, InvalidInput)
    assert [f.code for f in refused.faults] == [
        "has_dependents" if won == ["approved"] else "base_leaving"
    ]
    books_are_right(city)


def test_a_machine_made_smaller_before_the_approval_refuses_it(city: City) -> None:
    vm_id = machine(city)
    request_id = volume_on(city, vm_id)
    smaller = city.control_plane.pipeline.submit_request(
        city.person("limin"), change(vm_id, plan="small")
    )
    approve(city, smaller)
    city.deliver()
    with pytest.raises(DependenceRefused) as refusal:
        approve(city, request_id)
    assert set(faults_of(refusal)) == {"base_too_small"}


def test_from_the_approval_on_the_machine_stays_and_stays_large_enough(city: City) -> None:
    vm_id = machine(city)
    pipeline, limin = city.control_plane.pipeline, city.person("limin")
    approve(city, volume_on(city, vm_id))  # approved, not yet built
    with pytest.raises(InvalidInput) as refusal:
        city.control_plane.operations.retire_resource(limin, vm_id, "核对")
    assert faults_of(refusal) == ["has_dependents"]
    assert "数据" in refusal.value.faults[0].params["names"]
    with pytest.raises(InvalidInput) as refusal:
        pipeline.submit_request(limin, change(vm_id, plan="small"))
    assert {(f.code, f.field) for f in refusal.value.faults} == {("dependents_need", "plan")}
    assert pipeline.submit_request(limin, change(vm_id, plan="large"))


def test_what_came_to_stand_on_a_machine_refuses_its_smaller_size_at_the_approval(
    city: City,
) -> None:
    vm_id = machine(city)
    smaller = city.control_plane.pipeline.submit_request(
        city.person("limin"), change(vm_id, plan="small")
    )
    approve(city, volume_on(city, vm_id))
    city.deliver()
    with pytest.raises(DependenceRefused) as refusal:
        approve(city, smaller)
    assert set(faults_of(refusal)) == {"dependents_need"}
    assert resource(city, vm_id).spec["plan"]["code"] == "standard"
    books_are_right(city)


def test_a_run_whose_machine_has_gone_ends_without_touching_the_cloud(city: City) -> None:
    vm_id = machine(city)
    request_id = volume_on(city, vm_id)
    approve(city, request_id)
    with city.control_plane.db.transaction() as session:  # by other hands than ours
        session.get_one(Resource, vm_id).state = ResourceState.DESTROYING
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.refusal is not None
    assert "核对" in run.refusal.reason
    city.control_plane.delivery.fail(run, run.refusal.reason, final=run.refusal.is_final)
    assert request_state(city, request_id) == "failed"
    books_are_right(city)
    assert city.deliver() == [], "nothing of it was on the cloud, so nothing is cleaned up there"


def test_a_destruction_does_not_run_while_something_stands_on_the_machine(city: City) -> None:
    vm_id = machine(city)
    volume_id = deliver(city, "limin", ask_for("volume", system_name="数据", size_gib=10))
    city.control_plane.operations.retire_now(city.person("chengang"), vm_id, "核对")
    stands(city, volume_id, vm_id)  # by other hands than ours
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.refusal is not None
    assert "数据" in run.refusal.reason
    city.control_plane.delivery.fail(run, run.refusal.reason, final=run.refusal.is_final)
    stands(city, volume_id, None)
    city.clock.advance(minutes=1)
    assert city.deliver() == ["retire"], "it is tried again"
    assert state(city, vm_id) == "retired"


def stands(city: City, resource_id: str, parent_id: str | None) -> None:
    with city.control_plane.db.transaction() as session:
        session.get_one(Resource, resource_id).parent_id = parent_id


def test_the_end_of_its_lease_stops_a_machine_and_destroys_it_only_when_nothing_stands_on_it(
    city: City,
) -> None:
    vm_id = machine(city)
    asked = ask_for("volume", system_name="数据", size_gib=10, attach_to=vm_id, lease_months=36)
    volume_id = deliver(city, "limin", asked)
    assert after_the_end(city, vm_id, 7) == 1
    city.deliver()
    assert after_the_end(city, vm_id, 60) == 0
    assert state(city, vm_id) == "stopped"
    limin = city.person("limin")
    city.control_plane.operations.operate_resource(limin, volume_id, "detach", {})
    city.deliver()
    assert city.control_plane.leases.end_leases() == 1
    assert state(city, vm_id) == "retiring"


def test_both_pages_and_the_page_of_retiring_say_what_stands_on_what(city: City) -> None:
    vm_id = machine(city)
    volume_id = deliver(
        city, "limin", ask_for("volume", system_name="数据盘甲", size_gib=10, attach_to=vm_id)
    )
    browsing = sign_in(create_app(city.control_plane), "limin", "zh")
    below = browsing.get(f"/resources/{vm_id}").text
    assert "依赖它的资源" in below
    assert "数据盘甲" in below
    above = browsing.get(f"/resources/{volume_id}").text
    assert "挂载于" in above
    assert f"/resources/{vm_id}" in above
    asked = browsing.get(f"/resources/{vm_id}/actions/retire").text
    assert "数据盘甲" in asked
    assert 'name="confirm_name"' not in asked
    assert lint(asked) == []
    stopping = browsing.get(f"/resources/{vm_id}/actions/power_off").text
    assert "数据盘甲" in stopping
