"""An instance stays on the version of its service that built it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.errors import NotFound
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource
from tests.factories import City, ask, open_city
from tests.newer import release_drill, services_with_drill


def reopened(city: City, folder: Path, services: Path) -> City:
    """The control plane started again on the catalogue as it is now."""
    city.control_plane.db.dispose()
    made = open_city(folder, str(city.control_plane.settings.database_url), services)
    made.clock.now = city.clock.now
    return made


def resource(city: City, resource_id: str) -> Resource:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id)


def test_what_is_no_longer_offered_can_still_be_changed_operated_and_retired(
    tmp_path: Path, sample_url: str
) -> None:
    services = services_with_drill(tmp_path)
    city = open_city(tmp_path, sample_url, services)
    resource_id = city.delivered()
    release_drill(services)
    (services / "drill" / "service.yml").unlink()
    city = reopened(city, tmp_path, services)
    pipeline, limin = city.control_plane.pipeline, city.person("limin")
    with pytest.raises(NotFound):
        pipeline.prepare(limin, ask())
    change = Ask("drill", "change", "internet", {"plan": "large"}, resource_id=resource_id)
    city.decide("zhangjing", pipeline.submit_request(limin, change))
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.playbook == "services/drill/versions/1.0.0/change.yml"
    assert run.extravars["service_version"] == "1.0.0"
    city.control_plane.delivery.complete(run, {})
    assert resource(city, resource_id).spec["plan"]["vcpu"] == 4
    city.control_plane.operations.operate_resource(limin, resource_id, "power_off", {})
    assert city.deliver() == ["power_off"]
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    assert city.deliver() == ["retire"]
    assert resource(city, resource_id).state == "retired"
    city.control_plane.db.dispose()


def test_a_request_decided_after_a_release_is_built_as_it_was_asked_and_the_next_one_anew(
    tmp_path: Path, sample_url: str
) -> None:
    services = services_with_drill(tmp_path)
    city = open_city(tmp_path, sample_url, services)
    request_id = city.submit(plan="large")
    release_drill(services)
    city = reopened(city, tmp_path, services)
    city.approve(request_id)
    city.deliver()
    city.delivered("limin")
    with city.control_plane.db.read() as session:
        built = [(r.service_version, r.spec["plan"]["vcpu"]) for r in session.query(Resource)]
    assert sorted(built) == [("1.0.0", 4), ("2.0.0", 2)]
    city.control_plane.db.dispose()
