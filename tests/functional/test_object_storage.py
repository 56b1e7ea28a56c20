"""Object storage as its department, the admission and the meter see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from controlplane import messages
from controlplane.admission.models import Pool
from controlplane.app import create_app
from controlplane.metering.models import UsageInterval
from controlplane.pipeline import Ask
from controlplane.provisioning.filling import GIB
from controlplane.provisioning.models import DepartmentSite, Resource
from controlplane.readings import DiskReading, Measured
from tests.factories import City, make_city
from tests.functional.depot import SERVICES, open_city
from tests.functional.test_ui_pages import lint, sign_in

OUTPUTS = {
    "container": "files-abcdef",
    "s3_endpoint": "https://objects.egov.test",
    "swift_url": "https://objects.egov.test/v1/AUTH_p",
    "url_path": "/v1/AUTH_p/files-abcdef",
    "auth_url": "https://keystone.egov.test/v3",
    "region": "RegionOne",
    "username": "egov-files-abcdef-a",
    "domain": "default",
    "project_id": "p",
    "access_key": "0123456789ABCDEF0123",
    "quota_gib": 100,
}


@pytest.fixture
def shipped(tmp_path: Path, sample_url: str) -> Iterator[City]:
    """The shipped services, on a cloud that has object storage."""
    city = open_city(tmp_path, sample_url, services=SERVICES, object_storage=True)
    yield city
    city.control_plane.db.dispose()


def asked(**form: Any) -> Ask:
    wanted = {"system_name": "档案影像", "bucket_name": "files", "quota_gib": 100, **form}
    return Ask("object-storage", "provision", "internet", wanted)


def ordered(city: City) -> Resource:
    """One of 100 GiB, delivered."""
    pipeline = city.control_plane.pipeline
    city.decide("zhangjing", pipeline.submit_request(city.person("limin"), asked()))
    city.deliver(OUTPUTS)
    return resources(city)[-1]


def resources(city: City) -> list[Resource]:
    with city.control_plane.db.read() as session:
        return list(session.scalars(sa.select(Resource).order_by(Resource.created_at)))


def changed(city: City, resource: Resource, quota_gib: int) -> None:
    wanted = Ask(
        "object-storage", "change", "internet", {"quota_gib": quota_gib}, resource_id=resource.id
    )
    pipeline = city.control_plane.pipeline
    city.decide("zhangjing", pipeline.submit_request(city.person("limin"), wanted))


def held(city: City) -> int:
    with city.control_plane.db.read() as session:
        pool = session.scalars(sa.select(Pool).where(Pool.code == "objects-internet")).one()
        return {bound.dimension: bound.allocated for bound in pool.bounds}["storage_gib.object"]


def metered(city: City, resource: Resource) -> list[tuple[str, int, bool]]:
    """Every interval: item, quantity, whether it is still running."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(UsageInterval)
            .where(UsageInterval.resource_id == resource.id)
            .order_by(UsageInterval.id)
        )
        return [(row.item, row.quantity, row.t1 is None) for row in rows]


@pytest.mark.any_database
def test_where_the_cloud_has_none_it_is_shown_with_the_reason(tmp_path: Path) -> None:
    city = make_city(tmp_path, services=SERVICES)
    service = city.control_plane.catalogue["object-storage"]
    assert service.offered_engines == ()
    preparation = city.control_plane.pipeline.prepare(city.person("limin"), asked())
    (fault,) = preparation.faults
    assert fault.code == "engine_absent"
    assert "对象存储" in messages.text_of_fault(fault, "zh")
    assert "object storage" in messages.text_of_fault(fault, "en")


def test_it_lies_in_the_departments_one_project(shipped: City) -> None:
    ordered(shipped)
    with shipped.control_plane.db.read() as session:
        (site,) = session.scalars(sa.select(DepartmentSite)).all()
    assert (site.engine, site.project) == ("openstack", "egov-civil-affairs-internet")


@dataclass
class Store:
    """A cloud with object storage as the tick sees it."""

    used_bytes: int
    asked: list[Measured] = field(default_factory=list)

    def disk_readings(self, resources: Sequence[Measured]) -> dict[str, DiskReading]:
        self.asked = list(resources)
        return {r.resource_id: DiskReading(self.used_bytes, False) for r in resources}


def test_what_is_stored_is_measured_told_and_held_by_the_store_itself(shipped: City) -> None:
    resource = ordered(shipped)
    disks, store = shipped.control_plane.disks, Store(12 * GIB)
    (cloud,) = {pool.cloud for pool in pools_of(shipped) if pool.code == resource.pool_code}
    assert disks.measure({cloud: store}) == 1
    (asked_for,) = store.asked
    assert (asked_for.resource_id, asked_for.outputs["container"]) == (
        resource.id,
        OUTPUTS["container"],
    )
    browsing = sign_in(create_app(shipped.control_plane), "limin")
    page = browsing.get(f"/resources/{resource.id}").text
    assert (lint(page), "12\u00a0GiB" in page, "存满后拒绝写入" in page) == ([], True, False)
    for used in (96 * GIB, 101 * GIB):
        store.used_bytes = used
        disks.measure({cloud: store})
        page = browsing.get(f"/resources/{resource.id}").text
        assert ("存满后拒绝写入" in page, "TRUNCATE" in page) == (True, False)
    assert shipped.control_plane.delivery.claim("test:1") is None, "there is nothing to run"


def pools_of(city: City) -> list[Pool]:
    with city.control_plane.db.read() as session:
        return list(session.scalars(sa.select(Pool)))


def test_its_quota_is_held_in_the_pool_and_metered_until_it_is_gone(shipped: City) -> None:
    resource = ordered(shipped)
    assert held(shipped) == 100
    shipped.clock.advance(hours=1)
    changed(shipped, resource, 40)
    shipped.deliver({**OUTPUTS, "quota_gib": 40})
    assert held(shipped) == 40
    item = "storage_gib.object"
    assert metered(shipped, resource) == [(item, 100, False), (item, 40, True)]
    shipped.control_plane.operations.retire_now(
        shipped.person("chengang"), resource.id, resource.name
    )
    shipped.clock.advance(hours=1)
    shipped.deliver({})
    assert held(shipped) == 0
    assert metered(shipped, resource)[-1] == (item, 40, False)


def test_a_size_below_what_is_stored_fails_in_words_and_goes_back(shipped: City) -> None:
    resource = ordered(shipped)
    told = "已存 60.00 GiB，多于新的容量 40 GiB：请先删除对象"
    changed(shipped, resource, 40)
    shipped.fail_jobs(told)
    run = shipped.control_plane.delivery.claim("test:1")
    assert run is not None
    assert (run.extravars["spec"]["quota_gib"], run.extravars["is_undoing"]) == (100, True)
    shipped.control_plane.delivery.complete(run, OUTPUTS)
    (after,) = resources(shipped)
    assert (after.state, after.spec["quota_gib"], held(shipped)) == ("active", 100, 100)


def test_every_way_to_connect_is_filled_in_with_both_secrets(shipped: City) -> None:
    resource = ordered(shipped)
    shown = shipped.control_plane.connections.show(shipped.person("limin"), resource.id, "")
    assert set(shown.secrets) == {"secret_key", "url_key"}
    told = {snippet.code: text for snippet, text in shown.snippets}
    assert shown.secrets["secret_key"] in told["s3"]
    assert shown.secrets["url_key"] in told["temporary-url"]
    compile(told["python"], "python", "exec")
    compile(told["temporary-url"], "temporary-url", "exec")


def test_new_keys_come_beside_the_old_ones_which_end_after_a_day(shipped: City) -> None:
    resource = ordered(shipped)
    operations = shipped.control_plane.operations
    operations.operate_resource(shipped.person("limin"), resource.id, "rotate_keys", {})
    run = shipped.control_plane.delivery.claim("test:1")
    assert run is not None
    new, old = run.extravars["secrets"], run.extravars["previous_secrets"]
    assert set(new) == set(old) == {"secret_key", "url_key"}
    assert all(new[name] != old[name] for name in new)
    shipped.control_plane.delivery.complete(run, {**OUTPUTS, "username": "egov-files-abcdef-b"})
    assert shipped.deliver() == []
    shipped.clock.advance(hours=25)
    assert operations.end_grace() == 1
    assert shipped.deliver(OUTPUTS) == ["end_old_keys"]


@pytest.mark.parametrize(
    "name", ["Files", "文件", "ab", "a_b", "1files", "files-", "a--b", "a" * 41]
)
@pytest.mark.any_database
def test_a_name_that_no_bucket_may_have_is_refused(shipped: City, name: str) -> None:
    faults = shipped.control_plane.pipeline.prepare(
        shipped.person("limin"), asked(bucket_name=name)
    ).faults
    assert {fault.field for fault in faults} == {"bucket_name"}
