"""Data measured against their plan: told, closed for writing when full, open again when grown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from controlplane.app import create_app
from controlplane.audit import AuditEvent
from controlplane.errors import CloudUnavailable
from controlplane.pipeline import Ask
from controlplane.provisioning.filling import GIB
from controlplane.provisioning.models import ResourceDisk
from controlplane.readings import DiskReading, Measured
from tests.functional.api_fixtures import make_api
from tests.functional.depot import Depot, open_depot
from tests.functional.test_ui_pages import lint, sign_in
from ui.filters import NBSP


@dataclass
class Server:
    """A shared server as the tick sees it: bytes by resource, and who is closed."""

    used: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    is_away: bool = False
    #: Of a server with a disk of its own.
    size: int | None = None

    def disk_readings(self, _resources: Sequence[Measured]) -> dict[str, DiskReading]:
        if self.is_away:
            raise CloudUnavailable(reason="away")
        return {r: DiskReading(u, r in self.closed, self.size) for r, u in self.used.items()}


@pytest.fixture
def server() -> Server:
    return Server()


def tick(depot: Depot, server: Server) -> list[str]:
    """The tick, and the actions that followed, done as their play does it."""
    depot.control_plane.disks.measure({"shared": server})
    begun = len(depot.runs)
    done = depot.carry_out()
    for run in depot.runs[begun:]:
        resource_id = run.extravars["resource_id"]
        limit = run.extravars["spec"]["plan"]["storage_gib.standard"] * GIB
        is_full = server.used.get(resource_id, 0) > limit
        (server.closed.add if is_full else server.closed.discard)(resource_id)
    return done


def disk(depot: Depot, resource_id: str) -> ResourceDisk | None:
    with depot.control_plane.db.read() as session:
        return session.get(ResourceDisk, resource_id)


def events(depot: Depot) -> list[str]:
    with depot.control_plane.db.read() as session:
        rows = sa.select(AuditEvent.event).where(AuditEvent.event.like("disk_%"))
        return list(session.scalars(rows.order_by(AuditEvent.id)))


def test_full_closes_it_and_growing_opens_it_again(depot: Depot, server: Server) -> None:
    resource_id = depot.database()
    server.used[resource_id] = 3 * GIB
    assert tick(depot, server) == []
    server.used[resource_id] = 4 * GIB
    assert tick(depot, server) == []
    server.used[resource_id] = 6 * GIB
    assert tick(depot, server) == ["hold_to_plan"]
    assert tick(depot, server) == [], "its server does already what follows"
    found = disk(depot, resource_id)
    assert found is not None
    assert (found.level, found.is_read_only, found.limit_gib) == ("full", True, 5)

    pipeline, limin = depot.control_plane.pipeline, depot.city.person("limin")
    grown = Ask("postgresql", "change", "internet", {"plan": "standard"}, resource_id=resource_id)
    depot.city.decide("zhangjing", pipeline.submit_request(limin, grown))
    depot.carry_out()
    assert tick(depot, server) == ["hold_to_plan"]
    assert tick(depot, server) == []
    found = disk(depot, resource_id)
    assert found is not None
    assert (found.level, found.is_read_only, found.limit_gib) == ("fine", False, 20)
    assert events(depot) == ["disk_near", "disk_full", "disk_freed"]


def test_a_busy_or_stopped_one_is_held_later(depot: Depot, server: Server) -> None:
    resource_id = depot.database()
    limin, operations = depot.city.person("limin"), depot.control_plane.operations
    server.used[resource_id] = 6 * GIB
    operations.operate_resource(limin, resource_id, "power_off", {})
    depot.control_plane.disks.measure({"shared": server})
    assert depot.jobs("hold_to_plan") == []
    depot.carry_out()
    assert tick(depot, server) == [], "suspended: nobody gets in anyway"
    operations.operate_resource(limin, resource_id, "power_on", {})
    depot.carry_out()
    assert tick(depot, server) == ["hold_to_plan"]


def test_a_run_that_fails_is_not_begun_again_every_minute(depot: Depot, server: Server) -> None:
    resource_id = depot.database()
    server.used[resource_id] = 6 * GIB
    disks = depot.control_plane.disks
    disks.measure({"shared": server})
    depot.fail_all("no such database")
    disks.measure({"shared": server})
    assert len(depot.jobs("hold_to_plan")) == 1
    depot.city.clock.advance(hours=2)
    disks.measure({"shared": server})
    assert len(depot.jobs("hold_to_plan")) == 2


def test_a_server_that_is_away_or_tells_of_strangers_does_no_harm(
    depot: Depot, server: Server
) -> None:
    resource_id = depot.database()
    server.used = {"0" * 36: 9 * GIB, resource_id: GIB}
    assert depot.control_plane.disks.measure({"shared": server}) == 1
    server.is_away = True
    assert depot.control_plane.disks.measure({"shared": server}) == 0
    assert depot.control_plane.disks.measure({"shared": object()}) == 0
    found = disk(depot, resource_id)
    assert found is not None
    assert found.used_bytes == GIB


def test_pages_say_how_full_it_is_and_the_way_out(depot: Depot, server: Server) -> None:
    app: Flask = create_app(depot.control_plane)
    resource_id = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}"
    assert "存储使用" not in clerk.get(path).text
    for used, words in ((4 * GIB, "转为只读，请及早扩容"), (6 * GIB, "新的连接只能读，不能写")):
        server.used[resource_id] = used
        tick(depot, server)
        page = clerk.get(path).text
        assert lint(page) == []
        assert words in page
        assert f"{path}/change/change" in page
        home = clerk.get("/").text
        assert lint(home) == []
        assert "存储将满" in home
    assert "已满，只读" in home
    assert "default_transaction_read_only = off" in page
    assert "存储将满" not in sign_in(app, "zhaoguodong").get("/").text, "another department's"
    told = make_api(depot.city).get("limin", path).json["disk"]
    assert (told["level"], told["is_read_only"], told["limit_gib"]) == ("full", False, 5)


@pytest.mark.parametrize("service", ["postgresql", "mariadb"])
def test_a_disk_of_its_own_is_told_of_before_it_is_full_and_closed_by_nobody(
    tmp_path: Path, sample_url: str, service: str
) -> None:
    depot = open_depot(tmp_path, sample_url, kubeconfig=tmp_path / "kubeconfig")
    app = create_app(depot.control_plane)
    resource_id = depot.database(service=service, plan="own_small")
    own = Server(size=9 * GIB)  # its file system keeps something of the 10 for itself
    clerk, engineer = sign_in(app, "limin"), sign_in(app, "chengang")
    path = f"/resources/{resource_id}"

    def measured(used: int) -> None:
        own.used[resource_id] = used
        depot.control_plane.disks.measure({"kubernetes": own})
        assert depot.carry_out() == [], "nobody closes it"

    measured(5 * GIB)
    assert "存储将满" not in clerk.get("/").text
    for used, words, at_home in (
        (8 * GIB, "存满后拒绝写入，请及早扩容或清理", f"89{NBSP}%"),
        (9 * GIB * 993 // 1000, "新数据已经或即将写不进去，已有数据不丢", f"99{NBSP}%"),
    ):
        measured(used)
        page = clerk.get(path).text
        assert lint(page) == []
        assert words in page
        assert f"{path}/change/change" in page
        for somebody in (clerk, engineer):
            home = somebody.get("/").text
            assert lint(home) == []
            assert "存储将满" in home
            assert at_home in home
    assert "只读" not in page.split("</h1>")[1].split("连接")[0]
    assert "default_transaction_read_only" not in page
    measured(GIB)
    assert "存满" not in clerk.get(path).text
    assert events(depot) == ["disk_near", "disk_used_up", "disk_freed"]
    assert "存储已满，写不进新数据" in clerk.get(path).text
    depot.control_plane.db.dispose()
