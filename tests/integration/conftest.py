"""The cloud of these tests: the one TEST_CLOUDS_YAML names, with a fault proxy before it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from openstack.connection import Connection

from tests.integration.fault_proxy import FaultProxy
from tests.integration.live_city import (
    LiveCity,
    connect,
    end_live_city,
    make_live_city,
    remove_projects,
)

#: How long a client waits for one answer, here: a fault test must not take the usual minute.
API_TIMEOUT_SECONDS = 8


@pytest.fixture(scope="session")
def cloud_entry() -> Mapping[str, Any]:
    """The administrator's entry of clouds.yaml; `make test` starts a cloud and names its file."""
    path = os.environ.get("TEST_CLOUDS_YAML")
    if not path:
        pytest.fail("TEST_CLOUDS_YAML names no clouds.yaml; `make test` starts a cloud and sets it")
    entry: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["clouds"]["lab"]
    return entry


@pytest.fixture(scope="session")
def admin(cloud_entry: Mapping[str, Any]) -> Iterator[Connection]:
    connection = connect(cloud_entry)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def proxy(cloud_entry: Mapping[str, Any], admin: Connection) -> Iterator[FaultProxy]:
    """Every API of the cloud through a proxy that is faithful until a test tells it otherwise."""
    origins = {"identity": _origin(cloud_entry["auth"]["auth_url"])}
    for service in admin.service_catalog:
        address = next(e["url"] for e in service["endpoints"] if e["interface"] == "public")
        origins[service["type"]] = _origin(address)
    made = FaultProxy(origins)
    yield made
    made.close()


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture(scope="session")
def run_suffix(admin: Connection) -> Iterator[str]:
    """Names this run's projects; they leave the cloud with it."""
    suffix = uuid.uuid4().hex[:6]
    yield suffix
    remove_projects(admin, suffix)


@pytest.fixture(scope="session")
def running_city(
    tmp_path_factory: pytest.TempPathFactory,
    cloud_entry: Mapping[str, Any],
    admin: Connection,
    proxy: FaultProxy,
    run_suffix: str,
) -> Iterator[LiveCity]:
    """One control plane for all tests: a department is set up by the first order it makes."""
    auth = {**cloud_entry["auth"], "auth_url": f"{proxy.address('identity')}/v3"}
    entry = {**cloud_entry, "auth": auth, "api_timeout": API_TIMEOUT_SECONDS}
    folder = tmp_path_factory.mktemp("city")
    city = make_live_city(folder, run_suffix, admin, entry, job_attempts_max=2)
    try:
        yield city
    finally:
        end_live_city(city)


@pytest.fixture
def city(running_city: LiveCity) -> Iterator[LiveCity]:
    """The running city; what a test leaves standing is destroyed after it, and nothing may be left
    on the cloud, in the books or on a meter."""
    yield running_city
    running_city.retire_all()
    running_city.idle()
    running_city.assert_nothing_is_left()
