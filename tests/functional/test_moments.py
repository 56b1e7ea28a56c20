"""Moments of a database: its server's log archived by a tick, one of them asked for and taken out.

The server itself stands behind the driver's interface here; the real one is in `tests/lab/servers`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from controlplane.app import create_app
from controlplane.backups.logs import chain_of
from controlplane.backups.service import reseal
from controlplane.credentials.keyring import Keyring
from controlplane.delivery import Run
from controlplane.errors import CloudUnavailable, InvalidInput, LogLost
from controlplane.provisioning.models import Resource
from controlplane.reports.backups import to_attend
from tests.functional.api_fixtures import make_api
from tests.functional.archived import SHARED_SERVER, Servers, archive, archives
from tests.functional.depot import Depot, written
from tests.functional.test_ui_pages import lint, sign_in


@pytest.fixture
def servers(depot: Depot) -> Servers:
    return Servers(depot.city.clock)


def ask(depot: Depot, resource_id: str, moment: datetime, login: str = "limin") -> str:
    recovery = depot.control_plane.recovery
    return recovery.back_up_moment(depot.city.person(login), resource_id, moment)


def claimed(depot: Depot) -> Run:
    run = depot.control_plane.delivery.claim("test:1")
    assert run is not None
    return run


def in_the_past(depot: Depot, servers: Servers) -> tuple[str, datetime]:
    """A database whose log has been archived for two hours; a moment in between."""
    resource_id = depot.database()
    assert archive(depot, shared=servers) == 1
    depot.city.clock.advance(hours=1)
    moment = depot.city.clock()
    depot.city.clock.advance(hours=1)
    assert archive(depot, shared=servers) == 1
    return resource_id, moment


def test_a_moment_is_taken_out_as_a_backup_of_then(depot: Depot, servers: Servers) -> None:
    resource_id, moment = in_the_past(depot, servers)
    number = ask(depot, resource_id, moment)
    run = claimed(depot)
    past = run.extravars["archive"]["past"]
    assert past["moment"] == moment.isoformat()
    identity = pyrage.x25519.Identity.from_str(past["identity"])
    assert pyrage.decrypt(Path(past["base"]).read_bytes(), [identity]) == b"log"
    assert list(Path(past["wal"]).glob("*.age"))
    depot.control_plane.delivery.complete(run, written(run, moment))
    (backup,) = depot.backups(resource_id)
    assert (backup.number, backup.kind, backup.taken_at) == (number, "moment", moment)
    assert depot.database(restore_from=number)


def test_a_base_that_lacks_the_database_is_passed_over(depot: Depot, servers: Servers) -> None:
    """Of a MariaDB each database is dumped by itself; one of them may be such that it cannot be."""
    resource_id, _ = in_the_past(depot, servers)
    depot.city.clock.advance(days=1)
    assert archive(depot, shared=servers) == 1
    chain = chain_of(depot.control_plane.settings, archives(depot)[0])
    older, newer = chain.bases()

    def base_used() -> Path:
        ask(depot, resource_id, depot.city.clock())
        run = claimed(depot)
        past = run.extravars["archive"]["past"]
        assert past["databases"] == ["dibao"]
        depot.control_plane.delivery.fail(run, "enough", final=True)
        return Path(past["base"])

    assert base_used() == chain.base(newer.name)
    chain.base(newer.name).unlink()
    chain.base(newer.name).mkdir()
    (chain.base(newer.name) / "other.lacking").touch()
    assert base_used() == chain.base(newer.name)
    (chain.base(newer.name) / "dibao.lacking").touch()
    assert base_used() == chain.base(older.name)
    chain.remove_base(newer)
    assert chain.bases() == [older]
    assert not chain.base(newer.name).exists()


def test_what_has_changed_data_with_it_belongs_to_its_past(depot: Depot, servers: Servers) -> None:
    ids = [depot.database() for _ in range(4)]
    names = dict(zip(ids, ("one", "two", "three", "four"), strict=True))
    with depot.control_plane.db.transaction() as session:
        for each, name in names.items():
            row = session.get_one(Resource, each)
            row.outputs = {**row.outputs, "database": name}
    recovery, limin = depot.control_plane.recovery, depot.city.person("limin")
    for one, other in ((0, 1), (1, 2)):
        recovery.exchange(limin, ids[one], ids[other], "低保")
        depot.carry_out()
    archive(depot, shared=servers)
    ask(depot, ids[0], depot.city.clock())
    assert claimed(depot).extravars["archive"]["past"]["databases"] == ["one", "two", "three"]


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_moment_that_cannot_be_had_is_refused_with_those_that_can(
    depot: Depot, servers: Servers, hours: int
) -> None:
    resource_id, moment = in_the_past(depot, servers)
    with pytest.raises(InvalidInput) as refused:
        ask(depot, resource_id, moment + timedelta(hours=hours))
    (fault,) = refused.value.faults
    assert (fault.code, fault.field) == ("moment_outside", "moment")
    assert fault.params == {"since": "2026-11-24 21:00:00", "until": "2026-11-24 23:00:00"}
    assert depot.backups(resource_id) == []


def test_no_moment_is_older_than_the_resource(depot: Depot, servers: Servers) -> None:
    _, moment = in_the_past(depot, servers)
    later_id = depot.database()
    with pytest.raises(InvalidInput) as refused:
        ask(depot, later_id, moment)
    assert refused.value.faults[0].code == "moment_outside"


def test_before_the_first_base_there_is_no_moment(depot: Depot) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(depot, depot.database(), depot.city.clock())
    assert refused.value.faults[0].code == "no_moments"


def test_an_archive_that_stalls_is_on_the_engineers_board_until_it_goes_on(
    depot: Depot, servers: Servers
) -> None:
    in_the_past(depot, servers)
    servers.trouble[SHARED_SERVER] = [CloudUnavailable(reason="connection refused")]
    assert archive(depot, shared=servers) == 0
    plane = depot.control_plane
    with plane.db.read() as session:
        attention = to_attend(session, plane.catalogue, plane.clock())
    assert [s.archive.error for s in attention.stalled] == ["connection refused"]
    board = sign_in(create_app(plane), "chengang").get("/")
    assert lint(board.text) == []
    assert "日志归档停滞 · shared_postgresql" in board.text
    assert archive(depot, shared=servers) == 1
    with plane.db.read() as session:
        assert to_attend(session, plane.catalogue, plane.clock()).stalled == []


def test_a_lost_log_begins_a_new_chain_and_the_old_one_goes_in_time(
    depot: Depot, servers: Servers
) -> None:
    in_the_past(depot, servers)
    servers.trouble[SHARED_SERVER] = [LogLost(reason="its replication slot is lost")]
    assert archive(depot, shared=servers) == 0
    depot.city.clock.advance(minutes=5)
    assert archive(depot, shared=servers) == 1
    old, new = archives(depot)
    assert (old.ended_at is None, new.ended_at) == (False, None)
    assert servers.begun == [f"egov_{new.chain}"], "the server keeps nothing for the old one"
    folder = chain_of(depot.control_plane.settings, old).folder
    assert folder.is_dir()
    depot.city.clock.advance(days=8)
    archive(depot, shared=servers)
    assert [a.chain for a in archives(depot)] == [new.chain]
    assert not folder.exists()


def test_what_no_moment_of_a_week_needs_is_deleted(depot: Depot, servers: Servers) -> None:
    in_the_past(depot, servers)
    for _ in range(10):
        depot.city.clock.advance(days=1)
        archive(depot, shared=servers)
    (found,) = archives(depot)
    chain = chain_of(depot.control_plane.settings, found)
    now = depot.city.clock()
    ages = [round((now - base.ended_at) / timedelta(days=1)) for base in chain.bases()]
    assert ages == [7, 6, 5, 4, 3, 2, 1, 0]
    assert chain.segments()[0] == chain.bases()[0].first_segment
    assert found.oldest_at == now - timedelta(days=7)


def test_the_archives_key_is_sealed_anew_with_all_the_others(
    depot: Depot, servers: Servers
) -> None:
    resource_id, moment = in_the_past(depot, servers)
    keyring = Keyring(depot.control_plane.settings.credential_keys)
    keyring.add_key()
    with depot.control_plane.db.transaction() as session:
        assert reseal(session, keyring) == 1
    keyring.forget_old_keys()
    ask(depot, resource_id, moment)
    assert "identity" in claimed(depot).extravars["archive"]["past"]


def test_a_base_that_went_before_the_run_is_a_refusal_in_words(
    depot: Depot, servers: Servers
) -> None:
    resource_id, moment = in_the_past(depot, servers)
    ask(depot, resource_id, moment)
    chain = chain_of(depot.control_plane.settings, archives(depot)[0])
    for base in chain.bases():
        chain.remove_base(base)
    refusal = claimed(depot).refusal
    assert refusal is not None
    assert "goes back to" in refusal.reason


@pytest.mark.any_database
def test_the_page_tells_from_when_to_when_and_keeps_what_was_typed(
    depot: Depot, servers: Servers
) -> None:
    app = create_app(depot.control_plane)
    resource_id = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}/moment"
    waiting = clerk.get(path)
    assert lint(waiting.text) == []
    assert "还没有可取的时刻" in waiting.text
    assert archive(depot, shared=servers) == 1
    depot.city.clock.advance(minutes=20)
    archive(depot, shared=servers)
    page = clerk.get(path)
    assert lint(page.text) == []
    assert "2026-11-24 21:00:00" in page.text
    for typed, said in {
        "昨天": "请按 2026-11-23 15:40 的形式填写",
        "2026-11-24": "请按 2026-11-23 15:40 的形式填写",
        "2026-11-23 09:30": "只能取 2026-11-24 21:00:00 到 2026-11-24 21:20:00",
    }.items():
        refused = clerk.post(path, moment=typed)
        assert refused.status_code == 422
        assert lint(refused.text) == []
        assert said in refused.text
        assert f'value="{typed}"' in refused.text
    assert clerk.post(path, moment="2026-11-24 21:10").status_code == 302
    assert "已开始取出该时刻的数据" in clerk.get(f"/resources/{resource_id}").text
    stranger = sign_in(app, "zhaoguodong")
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, moment="2026-11-24 21:10").status_code == 404


def test_the_api_takes_a_moment_with_its_zone(depot: Depot, servers: Servers) -> None:
    resource_id, _ = in_the_past(depot, servers)
    api, path = make_api(depot.city), f"/resources/{resource_id}/backups"
    for moment in ("yesterday", "2026-11-24T22:00:00"):
        assert api.post("limin", path, {"moment": moment}).status_code == 422
    outside = api.post("limin", path, {"moment": "2026-11-20T10:00:00+08:00"})
    assert (outside.status_code, outside.json["errors"][0]["field"]) == (422, "moment")
    told = {"since": "2026-11-24T13:00:00Z", "until": "2026-11-24T15:00:00Z"}
    assert api.get("limin", path).json["moments"] == told
    made = api.post("limin", path, {"moment": "2026-11-24T22:00:00+08:00"})
    assert (made.status_code, made.json["kind"]) == (202, "moment")
    assert made.json["taken_at"] == "2026-11-24T14:00:00Z"
