"""Orders of departments on the real cloud: made, changed, operated, retired, kept apart."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from openstack.exceptions import ResourceNotFound

from controlplane.admission.models import Pool
from controlplane.applying import apply_declared
from controlplane.quotas import load_quotas
from tests.integration.live_city import LiveCity, connect, vm

# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def test_a_vm_with_a_volume_and_an_address_is_what_was_asked_for_until_it_is_destroyed(
    city: LiveCity,
) -> None:
    resource_id = city.delivered_vm(
        data_volumes=[{"size_gib": 20, "type": "ssd"}], floating_address=True
    )
    server = city.server(resource_id)
    assert server.status == "ACTIVE"
    assert server.project_id == city.project_id()
    assert (server.flavor["vcpus"], server.flavor["ram"], server.flavor["disk"]) == (1, 2048, 10)
    resource = city.resource(resource_id)
    assert resource.outputs["server_id"] == server.id
    assert server.availability_zone == resource.pool_code
    (volume,) = city.volumes(resource_id)
    assert (volume.size, volume.volume_type, volume.status) == (20, "ssd", "in-use")
    assert volume.attachments[0]["server_id"] == server.id
    (address,) = city.floating_addresses(resource_id)
    assert resource.outputs["addresses"]["floating"] == address.floating_ip_address
    assert address.fixed_ip_address == resource.outputs["addresses"]["fixed"]
    assert city.intervals(resource_id, "vcpu") == [(1, True)]
    assert city.intervals(resource_id, "storage_gib.ssd") == [(20, True)]
    assert city.admin.compute.find_keypair(f"egov-{resource_id}") is None
    name = resource.name
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, name)
    city.worker.wake()
    city.idle()
    assert city.servers(resource_id) == []
    assert city.resource(resource_id).state == "retired"
    assert city.intervals(resource_id, "vcpu") == [(1, False)]


def test_a_department_is_set_up_once_for_orders_that_come_at_once_and_sees_its_own_only(
    city: LiveCity,
) -> None:
    """Human resources have no project yet: two orders together bring one about."""
    ours = city.order()
    subject, form = city.person("zhaoguodong"), vm()
    together = threading.Barrier(2)

    def order(_number: int) -> int:
        together.wait()
        return city.control_plane.pipeline.submit_request(subject, form)

    with ThreadPoolExecutor(2) as pool:
        ids = list(pool.map(order, range(2)))
    for request_id in ids:
        city.approve(request_id)
    city.worker.wake()
    resources = [city.fulfilled(request_id) for request_id in ids]
    project_id = city.project_id("human-resources")
    assert {city.server(r).project_id for r in resources} == {project_id}
    (first, second) = (city.jobs(resource_id=resource_id)[0] for resource_id in resources)
    assert first.site_id == second.site_id
    assert len(city.jobs(action="onboard", site_id=first.site_id)) == 1
    for kind in (city.admin.network.networks, city.admin.network.routers):
        assert len(list(kind(project_id=project_id))) == 1
    our_server = city.server(city.fulfilled(ours))
    stranger = connect(city.entry, project_name=f"egov-{city.code('human-resources')}-internet")
    try:
        assert len(list(stranger.compute.servers())) == len(resources)
        with pytest.raises(ResourceNotFound):
            stranger.compute.get_server(our_server.id)
        assert [n.name for n in stranger.network.networks(is_router_external=False)] == [
            f"egov-{city.code('human-resources')}-internet"
        ]
    finally:
        stranger.close()


def test_the_quota_on_the_cloud_is_the_declared_one_and_follows_it(city: LiveCity) -> None:
    city.fulfilled(city.order_volume(size_gib=1))
    project_id = city.project_id()

    def on_cloud() -> tuple[int, int, int]:
        compute = city.admin.compute.get_quota_set(project_id)
        volume = city.admin.block_storage.get_quota_set(project_id)
        return compute.cores, compute.ram, volume.gigabytes

    assert on_cloud() == (40, 163840, 2048 + 1024)
    settings = city.control_plane.settings
    file = settings.quotas_dir / "quotas.yml"
    before = file.read_text(encoding="utf-8")
    entry = f"{{department: {city.code('civil-affairs')}, zone: internet, capacity: {{vcpu: "
    assert f"{entry}40" in before
    for text, bound in ((before.replace(f"{entry}40", f"{entry}64"), 64), (before, 40)):
        file.write_text(text, encoding="utf-8")
        with city.control_plane.db.transaction() as session:
            declared = load_quotas(settings.quotas_dir)
            apply_declared(session, settings, declared, city.clock())
        city.worker.wake()
        city.idle()
        assert on_cloud() == (bound, 163840, 2048 + 1024)


def test_the_pool_s_capacity_is_read_from_the_cloud(city: LiveCity) -> None:
    city.ticks.read_pools()
    with city.control_plane.db.read() as session:
        row = session.get_one(Pool, "internet-a")
        assert row.cloud_error == ""
        assert row.cloud_capacity is not None
        assert row.cloud_capacity["vcpu"] >= 800
        assert "lab-tiny" in {image["name"] for image in row.cloud_images}
