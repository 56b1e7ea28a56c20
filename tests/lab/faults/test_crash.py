"""kill -9 at any moment, on the real cloud: what was ordered is finished exactly once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from openstack.connection import Connection

from controlplane.config import CHECKOUT
from controlplane.metering.models import UsageInterval
from controlplane.provisioning.models import Job
from tests.integration.live_city import LiveCity, end_live_city, make_live_city, vm
from tests.lab.faults.dying_worker import MOMENTS

DISK = [{"size_gib": 1, "type": "standard"}]


@pytest.fixture(scope="module")
def prepared_city(
    tmp_path_factory: pytest.TempPathFactory,
    cloud_entry: Mapping[str, Any],
    admin: Connection,
    run_suffix: str,
) -> Iterator[LiveCity]:
    """Its department is set up on the cloud; no worker runs until a test starts one."""
    suffix = f"{run_suffix}-k"
    city = make_live_city(tmp_path_factory.mktemp("crash"), suffix, admin, cloud_entry)
    try:
        city.delivered_vm()
        city.retire_all()
        city.worker.stop()
        yield city
    finally:
        end_live_city(city)


@pytest.fixture
def city(prepared_city: LiveCity) -> Iterator[LiveCity]:
    yield prepared_city
    prepared_city.start_worker()
    prepared_city.retire_all()
    prepared_city.idle()
    prepared_city.worker.stop()
    prepared_city.assert_nothing_is_left()


def killed_worker(city: LiveCity, folder: Path, moment: str) -> None:
    """A worker of its own process takes what waits, and is dead at `moment`."""
    settings = folder / "settings.json"
    settings.write_text(city.control_plane.settings.model_dump_json(), encoding="utf-8")
    worker = subprocess.run(
        [sys.executable, "-m", "tests.lab.faults.dying_worker", str(settings), moment],
        cwd=CHECKOUT,
        timeout=60,
        check=False,
    )
    assert worker.returncode == -signal.SIGKILL


def is_made_once(city: LiveCity, resource_id: str) -> None:
    """One server, one volume, one port, and one meter for each dimension."""
    assert city.server(resource_id).status == "ACTIVE"
    (volume,) = city.volumes(resource_id)
    assert volume.status == "in-use"
    assert len([p for p in city.admin.network.ports() if resource_id in (p.name or "")]) == 1
    with city.control_plane.db.read() as session:
        items = list(
            session.scalars(
                sa.select(UsageInterval.item).where(UsageInterval.resource_id == resource_id)
            )
        )
    assert sorted(items) == sorted(set(items))
    assert "vcpu" in items


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_order_is_delivered_once(city: LiveCity, tmp_path: Path, moment: str) -> None:
    request_id = city.order(data_volumes=DISK)
    killed_worker(city, tmp_path, moment)
    city.start_worker()
    is_made_once(city, city.fulfilled(request_id))


def test_a_change_and_a_retirement_are_done_once_though_each_is_killed_twice(
    city: LiveCity, tmp_path: Path
) -> None:
    request_id = city.order(data_volumes=DISK)
    city.start_worker()
    resource_id = city.fulfilled(request_id)
    city.worker.stop()
    server_id = city.server(resource_id).id

    request_id = city.change(
        resource_id, plan="large", data_volumes=[{"size_gib": 3, "type": "standard"}]
    )
    killed_worker(city, tmp_path, "task_under_way")
    killed_worker(city, tmp_path, "run_ended")
    city.start_worker()
    city.fulfilled(request_id)
    city.worker.stop()
    server, (volume,) = city.server(resource_id), city.volumes(resource_id)
    assert (server.id, server.status, server.flavor["vcpus"]) == (server_id, "ACTIVE", 4)
    assert (volume.size, volume.status) == (3, "in-use")
    assert city.resource(resource_id).capacity["vcpu"] == 4

    name = city.resource(resource_id).name
    city.control_plane.operations.retire_now(city.person("chengang"), resource_id, name)
    killed_worker(city, tmp_path, "task_under_way")
    killed_worker(city, tmp_path, "run_ended")
    city.start_worker()
    city.idle()
    assert city.servers(resource_id) == []
    assert city.resource(resource_id).state == "retired"


def test_a_killed_server_finishes_its_orders_when_it_is_started_again(
    city: LiveCity, tmp_path: Path
) -> None:
    """The whole control plane as an operator runs it, killed while a playbook runs."""
    with serving(city, tmp_path) as server:
        request_id = city.control_plane.pipeline.submit_request(
            city.person("limin"), vm(data_volumes=DISK)
        )
        city.approve(request_id)
        city.wait(lambda: runs(city, request_id), "a playbook that runs")
        server.send_signal(signal.SIGKILL)
        server.wait()
    with serving(city, tmp_path):
        resource_id = city.fulfilled(request_id)
    is_made_once(city, resource_id)


def runs(city: LiveCity, request_id: int) -> bool | None:
    (job,) = city.jobs(request_id=request_id, action="provision")
    assert isinstance(job, Job)
    return True if job.run_pgid is not None else None


@contextmanager
def serving(city: LiveCity, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`controlplane serve` on the city's database and cloud."""
    settings = city.control_plane.settings
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("CONTROLPLANE_")},
        "CONTROLPLANE_VAR_DIR": str(settings.var_dir),
        "CONTROLPLANE_QUOTAS_DIR": str(settings.quotas_dir),
        "CONTROLPLANE_CLOUDS_YAML": str(settings.clouds_yaml),
        "CONTROLPLANE_MACHINES_ANSWER": "false",
        "CONTROLPLANE_PORT": str(port),
    }
    with (folder / "serve.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "controlplane.cli", "serve"],
            cwd=CHECKOUT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        server.terminate()
        server.wait(timeout=30)
