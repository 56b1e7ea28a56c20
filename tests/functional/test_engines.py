"""A service may stand in several places: its plan says where, and a change stays there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from controlplane.admission.models import Pool
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.service import open_all
from controlplane.errors import InvalidInput
from controlplane.provisioning.models import Resource
from tests.factories import TEST_SERVICES, City, ask, make_city
from tests.functional.test_changes import change_of

TWO_PLACES = (
    ("engine: openstack", "engine: kubernetes"),
    ("image: {type: string,", "image: {type: string, enum: [lab-tiny],"),
    (", source: images", ""),
    ("enum: [small, large]", "enum: [small, large, shared, shared_large]"),
    (
        "memory_mib: 16384}",
        "memory_mib: 16384}\n"
        "  - {code: shared, name: {zh: 共享, en: Shared}, engine: shared,"
        " vcpu: 1, memory_mib: 512}\n"
        "  - {code: shared_large, name: {zh: 共享大型, en: Shared large}, engine: shared,"
        " vcpu: 2, memory_mib: 512}",
    ),
    ("secrets: [password]", "secrets: [password, token]\nissued_secrets: [token]"),
    ("rotates: [password]", "rotates: [token]"),
)


def city_with(folder: Path, **changes: Path) -> City:
    """A city whose drill service stands on Kubernetes and on shared servers."""
    services = folder / "services"
    shutil.copytree(TEST_SERVICES, services)
    file = services / "drill" / "service.yml"
    text = file.read_text(encoding="utf-8")
    for before, after in TWO_PLACES:
        assert before in text, before
        text = text.replace(before, after, 1)
    file.write_text(text, encoding="utf-8")
    return make_city(folder, services=services, **changes)


@pytest.fixture
def two_places(tmp_path: Path) -> City:
    return city_with(tmp_path, kubeconfig=Path("kubeconfig"), shared_inventory=Path("hosts.yml"))


def engine_of(city: City, resource_id: str) -> str:
    with city.control_plane.db.read() as session:
        pool = session.get_one(Resource, resource_id).pool_code
        return session.get_one(Pool, pool).engine


def test_the_plan_chooses_the_pool(two_places: City) -> None:
    assert engine_of(two_places, two_places.delivered(plan="small")) == "kubernetes"
    assert engine_of(two_places, two_places.delivered(plan="shared")) == "shared"


def test_a_run_is_told_on_which_engine_it_works(two_places: City) -> None:
    two_places.approve(two_places.submit(plan="shared"))
    run = two_places.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.extravars["engine"] == "shared"


def test_a_change_of_plan_stays_on_its_engine(two_places: City) -> None:
    resource_id = two_places.delivered(plan="shared")
    pipeline, limin = two_places.control_plane.pipeline, two_places.person("limin")
    offered = pipeline.prepare(limin, change_of(resource_id)).choices["plan"]
    assert [choice.value for choice in offered] == ["shared", "shared_large"]
    with pytest.raises(InvalidInput) as refused:
        pipeline.submit_request(limin, change_of(resource_id, plan="large"))
    assert [(f.code, f.field) for f in refused.value.faults] == [("field_choice", "plan")]
    assert pipeline.submit_request(limin, change_of(resource_id, plan="shared_large"))


def test_what_the_deployment_has_not_cannot_be_asked_for(tmp_path: Path) -> None:
    city = city_with(tmp_path, shared_inventory=Path("hosts.yml"))
    pipeline, limin = city.control_plane.pipeline, city.person("limin")
    preparation = pipeline.prepare(limin, ask(plan="small"))
    assert [(f.code, f.field) for f in preparation.faults] == [("engine_absent", "plan")]
    assert [c.value for c in preparation.choices["plan"]] == ["shared", "shared_large"]
    assert pipeline.submit_request(limin, ask(plan="shared"))


def test_a_secret_that_the_cloud_draws_is_kept_and_told_to_no_run(two_places: City) -> None:
    two_places.approve(two_places.submit(plan="shared"))
    delivery = two_places.control_plane.delivery
    run = delivery.claim("test:1")
    assert run is not None
    assert run.issues_secrets
    assert set(run.extravars["secrets"]) == {"password"}
    resource_id = run.extravars["resource_id"]
    delivery.complete(run, {}, {"token": "first"})
    assert secrets_of(two_places, resource_id)["current"]["token"] == "first"
    operations, limin = two_places.control_plane.operations, two_places.person("limin")
    operations.operate_resource(limin, resource_id, "rotate", {})
    run = delivery.claim("test:1")
    assert run is not None
    assert "token" not in run.extravars["secrets"] | run.extravars["previous_secrets"]
    delivery.complete(run, {}, {"token": "second"})
    kept = secrets_of(two_places, resource_id)
    assert (kept["current"]["token"], kept["previous"]["token"]) == ("second", "first")


def secrets_of(city: City, resource_id: str) -> dict[str, dict[str, str]]:
    keyring = Keyring(city.control_plane.settings.credential_keys)
    with city.control_plane.db.read() as session:
        return open_all(session, keyring, resource_id)
