"""Moments of databases on servers of a department's own: each has a log archive of its own.

The cluster stands behind the driver's interface here; a real one is in `tests/lab`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from controlplane.app import create_app
from controlplane.backups.logs import chain_of
from controlplane.delivery import Run
from controlplane.errors import CloudRefused, CloudUnavailable, InvalidInput, LogLost
from controlplane.reports.backups import moments_of, to_attend
from tests.functional.archived import SHARED_SERVER, Cluster, Servers, archive, archives
from tests.functional.depot import Depot, open_depot, written
from tests.functional.test_ui_pages import lint, sign_in

OFFERED = "取某一时刻的数据"


@pytest.fixture
def depot(tmp_path: Path, sample_url: str) -> Iterator[Depot]:
    made = open_depot(tmp_path, sample_url, kubeconfig=tmp_path / "kubeconfig")
    yield made
    made.control_plane.db.dispose()


@pytest.fixture
def cluster(depot: Depot) -> Cluster:
    return Cluster(depot.city.clock)


def own(depot: Depot, **form: Any) -> str:
    return depot.database(plan="own_small", **form)


def claimed(depot: Depot) -> Run:
    run = depot.control_plane.delivery.claim("test:1")
    assert run is not None
    return run


def stalled(depot: Depot) -> list[str]:
    plane = depot.control_plane
    with plane.db.read() as session:
        attention = to_attend(session, plane.catalogue, plane.clock())
    return [s.archive.error for s in attention.stalled]


def suspend(depot: Depot, resource_id: str) -> None:
    depot.operate(resource_id, "power_off")


def destroy(depot: Depot, resource_id: str) -> None:
    depot.control_plane.operations.retire_now(depot.city.person("chengang"), resource_id, "低保")
    depot.carry_out()


def test_its_moment_is_taken_out_of_its_own_archive(depot: Depot, cluster: Cluster) -> None:
    one, other, shared = own(depot), own(depot), depot.database()
    clouds = {"kubernetes": cluster, "shared": Servers(depot.city.clock)}
    assert archive(depot, **clouds) == 3
    assert {a.server for a in archives(depot)} == {one, other, SHARED_SERVER}
    assert len(cluster.begun) == 2
    depot.city.clock.advance(hours=1)
    moment = depot.city.clock()
    archive(depot, **clouds)
    for resource_id, server in ((one, one), (other, other), (shared, SHARED_SERVER)):
        recovery = depot.control_plane.recovery
        recovery.back_up_moment(depot.city.person("limin"), resource_id, moment)
        run = claimed(depot)
        (found,) = [a for a in archives(depot) if a.server == server]
        folder = chain_of(depot.control_plane.settings, found).folder
        assert Path(run.extravars["archive"]["past"]["base"]).is_relative_to(folder)
        depot.control_plane.delivery.complete(run, written(run, moment))
        assert depot.backups(resource_id)[-1].taken_at == moment


@pytest.mark.any_database
def test_suspended_it_is_not_archived_and_nobody_is_warned_and_then_it_goes_on(
    depot: Depot, cluster: Cluster
) -> None:
    resource_id = own(depot)
    archive(depot, kubernetes=cluster)
    cluster.trouble[resource_id] = [CloudUnavailable(reason="connection refused")]
    archive(depot, kubernetes=cluster)
    board = sign_in(create_app(depot.control_plane), "chengang").get("/")
    assert lint(board.text) == []
    assert "日志归档停滞 · 低保" in board.text
    assert f'href="/resources/{resource_id}"' in board.text
    suspend(depot, resource_id)
    assert stalled(depot) == []
    assert archive(depot, kubernetes=cluster) == 0
    assert cluster.told == []
    moments = moments_of_(depot, resource_id)
    assert moments is not None, "what it held before can be had while it is suspended"
    depot.operate(resource_id, "power_on")
    assert archive(depot, kubernetes=cluster) == 1
    assert (len(archives(depot)), stalled(depot)) == (1, [])


def test_suspended_in_the_middle_of_a_tick_it_keeps_its_chain(
    depot: Depot, cluster: Cluster
) -> None:
    resource_id = own(depot)
    archive(depot, kubernetes=cluster)
    cluster.then = lambda: suspend(depot, resource_id)
    depot.city.clock.advance(minutes=5)
    archive(depot, kubernetes=cluster)
    assert len(archives(depot)) == 1


def moments_of_(depot: Depot, resource_id: str) -> Any:
    plane = depot.control_plane
    with plane.db.read() as session:
        return moments_of(session, plane.catalogue, depot.city.person("limin"), resource_id)


def test_one_that_does_not_answer_or_takes_long_holds_up_no_other(
    depot: Depot, cluster: Cluster
) -> None:
    dead, slow, fine = own(depot), own(depot), own(depot)
    archiving = depot.control_plane.archiving
    cluster.trouble[dead] = [CloudUnavailable(reason="timeout expired") for _ in range(2)]
    cluster.waits[slow] = Event()
    archiving.patience_seconds = 0.2
    assert archive(depot, kubernetes=cluster) == 1
    reached = {a.server: a.reached_at is not None for a in archives(depot)}
    assert reached == {dead: False, slow: False, fine: True}
    assert stalled(depot) == ["timeout expired"]
    assert archive(depot, kubernetes=cluster) == 2, "the one under way is left alone"
    archiving.patience_seconds = 60
    cluster.waits.pop(slow).set()
    archiving.join()
    assert archive(depot, kubernetes=cluster) == 3
    assert len(archives(depot)) == 3


def test_while_a_big_base_is_taken_the_log_is_fetched_as_ever(
    depot: Depot, cluster: Cluster
) -> None:
    resource_id, archiving = own(depot), depot.control_plane.archiving
    cluster.big[resource_id] = Event()
    archiving.patience_seconds = 0.2
    for minute in range(2):
        depot.city.clock.advance(minutes=5)
        assert archive(depot, kubernetes=cluster) == 1, minute
        (found,) = archives(depot)
        assert (found.reached_at, found.oldest_at) == (depot.city.clock(), None)
    assert moments_of_(depot, resource_id) is None
    cluster.big.pop(resource_id).set()
    archiving.join()
    assert moments_of_(depot, resource_id) is not None
    folder = chain_of(depot.control_plane.settings, found).folder
    assert len(list(folder.glob("base/*.json"))) == 1


def test_a_base_that_fails_is_told_until_there_is_one_though_the_log_is_fetched(
    depot: Depot, cluster: Cluster
) -> None:
    resource_id = own(depot)
    cluster.no_base[resource_id] = [CloudRefused(reason="no room for it") for _ in range(2)]
    for _ in range(2):
        assert archive(depot, kubernetes=cluster) == 1
        assert stalled(depot) == ["no room for it"]
    assert archive(depot, kubernetes=cluster) == 1
    assert stalled(depot) == []
    assert moments_of_(depot, resource_id) is not None


def test_a_cluster_that_does_not_answer_is_told_of_what_stands_there(
    depot: Depot, cluster: Cluster
) -> None:
    own(depot)
    depot.database()
    clouds = {"kubernetes": cluster, "shared": Servers(depot.city.clock)}
    archive(depot, **clouds)
    cluster.silence = CloudUnavailable(reason="no route to host")
    assert archive(depot, **clouds) == 1
    assert stalled(depot) == ["no route to host"]
    cluster.silence, cluster.has_tools = None, False
    assert archive(depot, **clouds) == 1
    assert stalled(depot) == ["its server is not there, or cannot be archived"]
    cluster.has_tools = True
    assert archive(depot, **clouds) == 2
    assert stalled(depot) == []


def test_destroyed_its_chain_ends_and_is_deleted_after_its_days(
    depot: Depot, cluster: Cluster
) -> None:
    resource_id = own(depot)
    archive(depot, kubernetes=cluster)
    destroy(depot, resource_id)
    assert depot.resource(resource_id).state == "retired"
    assert archive(depot, kubernetes=cluster) == 0
    (ended,) = archives(depot)
    assert (ended.ended_at, ended.error) == (depot.city.clock(), "")
    folder = chain_of(depot.control_plane.settings, ended).folder
    depot.city.clock.advance(days=6)
    archive(depot, kubernetes=cluster)
    assert folder.is_dir()
    depot.city.clock.advance(days=2)
    archive(depot, kubernetes=cluster)
    assert archives(depot) == []
    assert not folder.exists()


def test_a_lost_log_begins_a_new_chain_of_that_server_alone(depot: Depot, cluster: Cluster) -> None:
    lost, other = own(depot), own(depot)
    archive(depot, kubernetes=cluster)
    cluster.trouble[lost] = [LogLost(reason="its replication slot is lost")]
    assert archive(depot, kubernetes=cluster) == 1
    depot.city.clock.advance(minutes=5)
    assert archive(depot, kubernetes=cluster) == 2
    assert [a.server for a in archives(depot)].count(other) == 1
    first, second = [a for a in archives(depot) if a.server == lost]
    assert (first.ended_at is None, second.ended_at) == (False, None)


@pytest.mark.any_database
def test_where_no_programs_are_named_no_moment_is_offered(depot: Depot, cluster: Cluster) -> None:
    resource_id = own(depot)
    clerk, path = sign_in(create_app(depot.control_plane), "limin"), f"/resources/{resource_id}"
    cluster.has_tools = False
    assert archive(depot, kubernetes=cluster) == 0
    assert archives(depot) == []
    assert OFFERED not in clerk.get(path).text
    with pytest.raises(InvalidInput) as refused:
        depot.control_plane.recovery.back_up_moment(
            depot.city.person("limin"), resource_id, depot.city.clock()
        )
    assert refused.value.faults[0].code == "no_moments"
    cluster.has_tools = True
    archive(depot, kubernetes=cluster)
    page = clerk.get(path)
    assert lint(page.text) == []
    assert OFFERED in page.text
