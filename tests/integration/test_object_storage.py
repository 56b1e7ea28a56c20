"""Object storage on a real swift: two departments, each with keys for its own and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from controlplane.drivers.openstack import OpenStackCloud
from controlplane.readings import Measured
from tests.integration.buckets import Bucket, Keys, left_of, said
from tests.integration.live_city import connect

# The SDK warns of its own future at every connection and every object.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@dataclass(frozen=True)
class Department:
    project: str
    project_id: str
    tenant: Connection


@pytest.fixture(scope="module")
def departments(
    cloud_entry: Mapping[str, Any], admin: Connection, run_suffix: str
) -> Iterator[list[Department]]:
    """Two projects as onboarding makes them, without the network that nothing here needs."""
    made = []
    user = admin.identity.get_user(admin.session.get_user_id())
    role = admin.identity.find_role("member", ignore_missing=False)
    for letter in "ab":
        project = admin.identity.create_project(name=f"egov-objects-{letter}-{run_suffix}")
        admin.identity.assign_project_role_to_user(project, user, role)
        tenant = connect(cloud_entry, project_name=project.name)
        made.append(Department(project.name, project.id, tenant))
    yield made
    for department in made:
        department.tenant.close()


@pytest.fixture
def buckets(
    tmp_path: Path,
    cloud_entry: Mapping[str, Any],
    admin: Connection,
    departments: list[Department],
) -> Iterator[list[Bucket]]:
    """One of each department, at the same time; retired after the test, and nothing is left."""
    made = [
        Bucket(
            tmp_path,
            cloud_entry,
            department.project,
            department.project_id,
            {"bucket_name": "files", "quota_gib": 1},
        )
        for department in departments
    ]
    for bucket, run in [(bucket, bucket.start("provision")) for bucket in made]:
        assert bucket.end(run) > 0
    yield made
    for bucket, run in [(bucket, bucket.start("retire")) for bucket in made]:
        bucket.end(run)
    for bucket, department in zip(made, departments, strict=True):
        assert left_of(admin, department.tenant, bucket) == []


def test_keys_reach_their_own_container_and_nothing_else(
    buckets: list[Bucket], cloud_entry: Mapping[str, Any]
) -> None:
    mine, theirs = (bucket.keys for bucket in buckets)
    assert mine.put("目录/a.txt", b"mine") == theirs.put("b.txt", b"theirs") == "ok"
    assert mine.get("目录/a.txt") == b"mine"
    asked = [Measured(bucket.resource_id, bucket.keys.outputs) for bucket in buckets]
    gone = Measured("1f0e7c00-0000-4000-8000-000000000000", mine.outputs)
    readings = OpenStackCloud("lab", cloud_entry).disk_readings([*asked, gone])
    assert {r: reading.used_bytes for r, reading in readings.items()} == {
        buckets[0].resource_id: len(b"mine"),
        buckets[1].resource_id: len(b"theirs"),
    }
    assert (mine.fetched("目录/a.txt"), theirs.fetched("b.txt")) == (200, 200)
    assert mine.put("c", b"x", bucket=theirs.bucket) in ("AccessDenied", "NoSuchBucket")
    assert mine.may_read("b.txt", bucket=theirs.bucket) in ("AccessDenied", "NoSuchBucket")
    assert said(mine.s3().make_bucket, "another") == "AccessDenied"
    assert said(mine.s3().remove_bucket, mine.bucket) == "AccessDenied"
    assert Keys(theirs.outputs, theirs.secret_key, mine.url_key).fetched("b.txt") == 401
    assert Keys(theirs.outputs, mine.secret_key, mine.url_key).may_read("b.txt") != "ok"
    signed_in = mine.signed_in(cloud_entry)
    try:
        reach_nothing_else(signed_in, mine, theirs)
    finally:
        signed_in.close()


def reach_nothing_else(signed_in: Connection, mine: Keys, theirs: Keys) -> None:
    """By swift's own API, and by the other services' of the department."""

    def status(address: str, method: str = "GET", **headers: str) -> int:
        answer = signed_in.session.request(address, method, headers=headers, raise_exc=False)
        return int(answer.status_code)

    account = mine.outputs["swift_url"]
    assert status(f"{account}/{mine.bucket}") == 200
    assert status(f"{account}/{mine.bucket}", "POST", **{"X-Container-Read": ".r:*"}) == 403
    assert status(account) == status(f"{account}/another", "PUT") == 403
    assert status(f"{theirs.outputs['swift_url']}/{theirs.bucket}") == 403
    for service, path in (("compute", "/servers"), ("block-storage", "/volumes")):
        assert status(signed_in.session.get_endpoint(service_type=service) + path) == 403
