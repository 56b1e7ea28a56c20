"""What happens when the cloud or a playbook fails: a clear reason, nothing lost, doubled or left.

The fixture's end holds every test to "nothing left on the cloud, counters equal claims, no meter
still running".
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from controlplane.admission.models import QuotaBound
from controlplane.provisioning.models import Job
from tests.integration.conftest import API_TIMEOUT_SECONDS
from tests.integration.fault_proxy import FaultProxy
from tests.integration.live_city import LiveCity, vm

#: Other tests order in the internet zone, perhaps at this very moment.
QUIET_ZONE = "office"

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def provision_job(city: LiveCity, request_id: int) -> Job:
    (job,) = city.jobs(request_id=request_id, action="provision")
    return job


def has_failed_with(city: LiveCity, request_id: int, *words: str) -> None:
    """The request failed for a reason that says these words, and gave everything back."""
    assert city.ended(request_id).state == "failed", city.told(request_id)
    city.idle()
    job = provision_job(city, request_id)
    for word in words:
        assert word in job.error, job.error
    assert words[0] in city.request(request_id).reason
    assert held(city) == {0}


def held(city: LiveCity) -> set[int]:
    """What the department holds or has allocated, over all its bounds."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(QuotaBound).where(
                QuotaBound.department_id == city.department_id(city.code("civil-affairs"))
            )
        )
        return {row.held + row.allocated for row in rows}


def attempt_of(city: LiveCity, request_id: int, at_least: int) -> Job | None:
    job = provision_job(city, request_id)
    return job if job.attempt >= at_least and job.state == "queued" else None


# --- the cloud is away or slow ------------------------------------------------------------------


def test_a_cloud_that_is_down_is_waited_for(city: LiveCity, proxy: FaultProxy) -> None:
    with proxy.down():
        request_id = city.order()
        job = city.wait(lambda: attempt_of(city, request_id, 2), "second try")
        assert "the cloud lab does not answer" in job.error
        assert city.request(request_id).state == "delivering"
    resource_id = city.fulfilled(request_id)
    assert city.server(resource_id).status == "ACTIVE"
    assert provision_job(city, request_id).error == ""


def test_one_api_that_is_down_is_waited_for_too(city: LiveCity, proxy: FaultProxy) -> None:
    with proxy.fault("compute", status=503, message="maintenance"):
        request_id = city.order()
        job = city.wait(lambda: attempt_of(city, request_id, 1), "first try")
        assert "the compute API answers 503" in job.error
    city.fulfilled(request_id)


def test_an_answer_beyond_the_time_limit_costs_one_try(city: LiveCity, proxy: FaultProxy) -> None:
    """The server is made while nobody waits for the answer any more: it is found again."""
    with proxy.fault(
        "compute", method="POST", path="/servers$", delay_seconds=API_TIMEOUT_SECONDS + 3, times=1
    ) as slow:
        resource_id = city.fulfilled(city.order())
    assert slow.hits == 1
    assert city.server(resource_id).status == "ACTIVE"


# --- the cloud errs -----------------------------------------------------------------------------


@contextmanager
def tries(city: LiveCity, at_most: int) -> Iterator[None]:
    """Orders of this block are tried so often."""
    settings = city.control_plane.settings
    before = settings.job_attempts_max
    settings.job_attempts_max = at_most
    try:
        yield
    finally:
        settings.job_attempts_max = before


def test_errors_500_are_got_over_one_after_the_other(city: LiveCity, proxy: FaultProxy) -> None:
    calls = (
        ("network", "POST", "/ports$"),
        ("block-storage", "POST", "/volumes$"),
        ("compute", "POST", "/servers$"),
        ("compute", "GET", "/servers"),
    )
    with tries(city, len(calls) + 1), ExitStack() as stack:
        faults = [
            stack.enter_context(proxy.fault(service, method=method, path=path, status=500, times=1))
            for service, method, path in calls
        ]
        resource_id = city.delivered_vm(data_volumes=[{"size_gib": 1, "type": "standard"}])
    assert [fault.hits for fault in faults] == [1] * len(calls)
    assert city.server(resource_id).status == "ACTIVE"
    assert len(city.volumes(resource_id)) == 1


def test_lost_answers_make_nothing_twice(city: LiveCity, proxy: FaultProxy) -> None:
    calls = (
        ("network", "/ports$"),
        ("network", "/floatingips$"),
        ("block-storage", "/volumes$"),
        ("compute", "/servers$"),
        ("compute", "/os-volume_attachments$"),
    )
    with tries(city, len(calls) + 1), ExitStack() as stack:
        faults = [
            stack.enter_context(
                proxy.fault(service, method="POST", path=path, loses_answer=True, times=1)
            )
            for service, path in calls
        ]
        resource_id = city.delivered_vm(
            data_volumes=[{"size_gib": 1, "type": "standard"}], floating_address=True
        )
    assert [fault.hits for fault in faults] == [1] * len(calls)
    assert city.server(resource_id).status == "ACTIVE"
    assert len(city.volumes(resource_id)) == 1
    assert len(city.floating_addresses(resource_id)) == 1
    ports = [p for p in city.admin.network.ports() if resource_id in (p.name or "")]
    assert len(ports) == 1


def test_an_error_that_stays_ends_the_order_and_leaves_nothing(
    city: LiveCity, proxy: FaultProxy
) -> None:
    with proxy.fault("compute", method="POST", path="/servers$", status=500, message="disk full"):
        request_id = city.order(data_volumes=[{"size_gib": 1, "type": "standard"}])
        has_failed_with(city, request_id, "disk full")
    assert provision_job(city, request_id).attempt == city.worker.settings.job_attempts_max


# --- the cloud refuses --------------------------------------------------------------------------


def test_the_cloud_s_own_quota_is_a_readable_reason(city: LiveCity) -> None:
    """Somebody lowered the project's quota by hand: we admitted what the cloud refuses."""
    project_id = city.project_id()
    city.admin.compute.update_quota_set(project_id, cores=0)
    try:
        request_id = city.order()
        assert city.ended(request_id).state == "failed"
        city.idle()
        assert "Quota exceeded for cores" in provision_job(city, request_id).error
        assert city.servers(str(city.request(request_id).resource_id)) == []
    finally:
        city.admin.compute.update_quota_set(project_id, cores=40)


def test_no_valid_host_is_a_readable_reason(city: LiveCity) -> None:
    """The scheduler finds no host although the zone is there: all of its hosts are full."""
    with full_hosts(city, QUIET_ZONE):
        has_failed_with(city, city.order(zone=QUIET_ZONE), "No valid host")


def test_a_zone_without_hosts_is_a_readable_reason(city: LiveCity) -> None:
    hosts = hosts_of(city, QUIET_ZONE)
    for host in hosts:
        city.admin.compute.disable_service(host, disabled_reason="test")
    try:
        request_id = city.order(zone=QUIET_ZONE)
        has_failed_with(city, request_id, "availability zone is not available")
    finally:
        for host in hosts:
            city.admin.compute.enable_service(host)


def hosts_of(city: LiveCity, zone: str) -> list[Any]:
    """The nova-compute services behind a zone."""
    services = city.admin.compute.services(binary="nova-compute")
    found = [s for s in services if s.availability_zone.startswith(zone)]
    assert found
    return found


@contextmanager
def full_hosts(city: LiveCity, zone: str) -> Iterator[None]:
    """Somebody else holds all memory of the zone's hosts, as Placement has it."""
    placement = city.admin.placement
    project_id = city.admin.current_project_id
    names = {host.host for host in hosts_of(city, zone)}
    consumers: list[str] = []
    try:
        for provider in placement.get("/resource_providers").json()["resource_providers"]:
            if provider["name"] in names:
                consumers += _fill(placement, provider["uuid"], project_id)
        assert consumers
        yield
    finally:
        for consumer in consumers:
            placement.delete(f"/allocations/{consumer}")


def _fill(placement: Any, provider: str, project_id: str) -> list[str]:
    """Consumers that together hold what memory the provider has left."""
    path = f"/resource_providers/{provider}"
    has = placement.get(f"{path}/inventories").json()["inventories"]["MEMORY_MB"]
    used = placement.get(f"{path}/usages").json()["usages"]["MEMORY_MB"]
    left = int((has["total"] - has["reserved"]) * has["allocation_ratio"]) - used
    consumers = []
    while left > 0:
        held = min(left, has["max_unit"])
        body = {
            "allocations": {provider: {"resources": {"MEMORY_MB": held}}},
            "project_id": project_id,
            "user_id": project_id,
            "consumer_generation": None,
        }
        consumers.append(str(uuid.uuid4()))
        answer = placement.put(f"/allocations/{consumers[-1]}", json=body, microversion="1.28")
        assert answer.ok, answer.text
        left -= held
    return consumers


def test_an_image_that_is_gone_is_a_readable_reason(city: LiveCity) -> None:
    image = city.admin.image.create_image(
        name=f"gone-{city.suffix}",
        disk_format="raw",
        container_format="bare",
        visibility="public",
        data=b"image",
    )
    city.ticks.read_pools()
    pipeline = city.control_plane.pipeline
    request_id = pipeline.submit_request(city.person("limin"), vm(image=image.name))
    city.admin.image.delete_image(image)
    city.approve(request_id)
    city.worker.wake()
    has_failed_with(city, request_id, f"no active image 'gone-{city.suffix}'")
    city.ticks.read_pools()


# --- a resize that fails ------------------------------------------------------------------------


def test_a_change_the_cloud_refuses_goes_back_to_what_was(
    city: LiveCity, proxy: FaultProxy
) -> None:
    resource_id = city.delivered_vm(data_volumes=[{"size_gib": 1, "type": "standard"}])
    with proxy.fault("compute", method="POST", path="/action$", status=409, message="not now"):
        request_id = city.change(
            resource_id, plan="large", data_volumes=[{"size_gib": 4, "type": "standard"}]
        )
        assert city.ended(request_id).state == "failed"
        city.idle()
    server, (volume,) = city.server(resource_id), city.volumes(resource_id)
    assert (server.status, server.flavor["vcpus"], volume.size) == ("ACTIVE", 1, 1)
    resource = city.resource(resource_id)
    assert (resource.state, resource.capacity["vcpu"]) == ("active", 1)


def test_a_retirement_goes_on_where_it_was_cut_short(city: LiveCity, proxy: FaultProxy) -> None:
    resource_id = city.delivered_vm(data_volumes=[{"size_gib": 1, "type": "standard"}])
    with proxy.fault("block-storage", method="DELETE", status=500, times=1) as fault:
        name = city.resource(resource_id).name
        city.control_plane.operations.retire_now(city.person("chengang"), resource_id, name)
        city.worker.wake()
        city.idle()
    assert fault.hits == 1
    assert city.resource(resource_id).state == "retired"


# --- the playbook is broken ---------------------------------------------------------------------


@pytest.fixture
def own_playbooks(city: LiveCity, tmp_path: Path) -> Iterator[Path]:
    """The worker runs playbooks of a copy that a test may spoil."""
    settings = city.worker.settings
    copy = tmp_path / "playbooks"
    shutil.copytree(settings.playbooks_dir, copy)
    shutil.copy(settings.playbooks_dir.parent / "ansible.cfg", tmp_path)
    (tmp_path / "inventory").mkdir()
    city.worker.settings = settings.model_copy(update={"playbooks_dir": copy})
    yield copy
    city.worker.settings = settings


def test_a_playbook_with_a_syntax_error_fails_at_once_with_file_and_line(
    city: LiveCity, own_playbooks: Path
) -> None:
    playbook = own_playbooks / "services" / "vm" / "provision.yml"
    playbook.write_text("---\n- name: Provision\n  hosts: localhost\n  roles: [\n")
    started = time.monotonic()
    has_failed_with(city, city.order(), "provision.yml:")
    assert time.monotonic() - started < 30


def test_a_playbook_that_is_not_there_fails_at_once(city: LiveCity, own_playbooks: Path) -> None:
    (own_playbooks / "services" / "vm" / "provision.yml").unlink()
    request_id = city.order()
    has_failed_with(city, request_id, "provision.yml")
    assert provision_job(city, request_id).attempt == 1
