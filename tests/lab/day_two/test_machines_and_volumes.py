"""What an owner does with a machine and a volume after the first day, on the real cloud."""

from __future__ import annotations

import pytest

from controlplane.errors import InvalidInput
from tests.integration.live_city import LiveCity

# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def test_a_vm_is_stopped_resized_while_it_is_stopped_started_and_rebooted_and_retired(
    city: LiveCity,
) -> None:
    resource_id = city.delivered_vm(data_volumes=[{"size_gib": 2, "type": "standard"}])
    server_id = city.server(resource_id).id
    limin, operations = city.person("limin"), city.control_plane.operations

    def is_now(on_cloud: str, with_us: str, vcpus: int) -> None:
        server = city.server(resource_id)
        found = (server.id, server.status, server.flavor["vcpus"])
        assert found == (server_id, on_cloud, vcpus)
        assert city.resource(resource_id).state == with_us

    def retire() -> None:
        operations.retire_resource(limin, resource_id, "低保核对系统")
        city.worker.wake()
        city.idle()
        is_now("SHUTOFF", "retiring", 2)

    city.operate(resource_id, "power_off")
    is_now("SHUTOFF", "stopped", 1)
    assert city.intervals(resource_id, "vcpu") == [(1, True)], "stopped or not, it is held"
    city.fulfilled(city.change(resource_id, plan="standard"))
    is_now("SHUTOFF", "stopped", 2)
    city.operate(resource_id, "power_on")
    is_now("ACTIVE", "active", 2)
    city.operate(resource_id, "reboot")
    is_now("ACTIVE", "active", 2)
    retire()
    operations.cancel_retirement(limin, resource_id)
    city.worker.wake()
    city.idle()
    is_now("ACTIVE", "active", 2)
    retire()
    city.ticks.destroy_due()
    city.idle()
    assert len(city.servers(resource_id)) == 1, "six days and more to think better of it"
    city.clock.advance(days=7, minutes=1)
    city.ticks.destroy_due()
    city.worker.wake()
    city.idle()
    assert city.servers(resource_id) == []
    assert city.volumes(resource_id) == []
    assert city.resource(resource_id).state == "retired"


def test_a_volume_of_its_own_moves_grows_and_holds_its_machine(city: LiveCity) -> None:
    first, second = city.fulfilled_all(city.order() for _ in range(2))
    volume_id = city.fulfilled(city.order_volume(size_gib=3, attach_to=first))
    (volume,) = city.volumes(volume_id)
    assert (volume.size, volume.status, volume.project_id) == (3, "in-use", city.project_id())
    assert volume.attachments[0]["server_id"] == city.server(first).id
    name = city.resource(first).name
    with pytest.raises(InvalidInput) as refused:
        city.control_plane.operations.retire_resource(city.person("limin"), first, name)
    assert [f.code for f in refused.value.faults] == ["has_dependents"]
    city.operate(volume_id, "attach", attach_to=second)
    (moved,) = city.volumes(volume_id)
    assert (moved.id, moved.attachments[0]["server_id"]) == (volume.id, city.server(second).id)
    city.fulfilled(city.change(volume_id, size_gib=7))
    city.operate(volume_id, "detach")
    (rested,) = city.volumes(volume_id)
    assert (rested.id, rested.size, rested.status) == (volume.id, 7, "available")
    assert city.resource(volume_id).parent_id is None
    assert city.intervals(volume_id, "storage_gib.standard") == [(3, False), (7, True)]


def test_a_vm_grows_and_shrinks_and_its_volumes_grow_and_become_more(city: LiveCity) -> None:
    resource_id = city.delivered_vm(data_volumes=[{"size_gib": 5, "type": "standard"}])
    server_id, volume_id = city.server(resource_id).id, city.volumes(resource_id)[0].id
    grown = [{"size_gib": 8, "type": "standard"}, {"size_gib": 3, "type": "ssd"}]
    city.fulfilled(city.change(resource_id, plan="large", data_volumes=grown))
    server = city.server(resource_id)
    assert (server.id, server.status, server.flavor["vcpus"]) == (server_id, "ACTIVE", 4)
    volumes = city.volumes(resource_id)
    assert [(v.size, v.volume_type, v.status) for v in volumes] == [
        (8, "standard", "in-use"),
        (3, "ssd", "in-use"),
    ]
    assert volumes[0].id == volume_id, "the data is where it was"
    assert city.resource(resource_id).capacity["vcpu"] == 4
    city.fulfilled(city.change(resource_id, plan="standard"))
    server = city.server(resource_id)
    assert (server.id, server.status, server.flavor["vcpus"]) == (server_id, "ACTIVE", 2)
    assert city.intervals(resource_id, "vcpu") == [(1, False), (4, False), (2, True)]
