"""Pages of backups: taking one, the two ways to restore, exchange, schedule, the board."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from controlplane.app import create_app
from tests.functional.api_fixtures import make_api
from tests.functional.depot import Depot
from tests.functional.test_ui_pages import lint, sign_in

#: What pages say of it; what becomes of it in a database is tested below them.
pytestmark = pytest.mark.any_database


@pytest.fixture
def app(depot: Depot) -> Flask:
    return create_app(depot.control_plane)


def test_a_resource_shows_its_backups_and_takes_one(app: Flask, depot: Depot) -> None:
    resource_id = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}"
    page = clerk.get(path)
    assert lint(page.text) == []
    assert "还没有备份" in page.text
    assert "尚未做过恢复演练" in page.text
    assert "每天 02:00，保留 7 天" in page.text
    assert clerk.post(f"{path}/backups").status_code == 302
    assert "已开始备份" in clerk.get(path).text
    depot.carry_out()
    shown = clerk.get(path).text
    assert depot.backups(resource_id)[0].number in shown
    assert "已保存" in shown
    depot.control_plane.recovery.drill_now(depot.city.person("chengang"), resource_id)
    depot.carry_out()
    assert "3 行逐表核对一致，恢复用时 1.5 秒" in clerk.get(path).text


def test_a_backup_offers_a_new_instance_with_its_form_filled(app: Flask, depot: Depot) -> None:
    resource_id = depot.database(plan="standard")
    number = depot.backed_up(resource_id)
    clerk = sign_in(app, "limin")
    page = clerk.get(f"/resources/{resource_id}/backups/{number}")
    assert lint(page.text) == []
    assert f"restore_from={number}" in page.text
    form = clerk.get(f"/catalogue/postgresql/apply?restore_from={number}")
    assert lint(form.text) == []
    assert re.search(rf'<option value="{number}" selected', form.text)
    assert re.search(r'value="standard" checked', form.text)
    stranger = sign_in(app, "zhaoguodong")
    assert stranger.get(f"/catalogue/postgresql/apply?restore_from={number}").status_code == 404
    assert stranger.get(f"/resources/{resource_id}/backups/{number}").status_code == 404


def test_who_has_no_backup_is_not_asked_which(app: Flask) -> None:
    clerk = sign_in(app, "limin")
    assert "restore_from" not in clerk.get("/catalogue/postgresql/apply").text


def test_a_restore_in_place_asks_for_the_name(app: Flask, depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}/backups/{number}"
    clerk.get(path)
    refused = clerk.post(path, confirm_name="别的")
    assert refused.status_code == 422
    assert lint(refused.text) == []
    assert clerk.post(path, confirm_name="低保").status_code == 302
    assert depot.carry_out() == ["backup", "restore"]


def test_two_instances_are_exchanged_by_a_page_of_its_own(app: Flask, depot: Depot) -> None:
    one = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{one}/exchange"
    assert "没有可以互换的实例" in clerk.get(path).text
    other = depot.database()
    page = clerk.get(path)
    assert lint(page.text) == []
    assert path in clerk.get(f"/resources/{one}").text
    assert clerk.post(path, confirm_name="低保").status_code == 422
    assert clerk.post(path, confirm_name="低保", other=other).status_code == 302
    assert depot.carry_out() == ["exchange"]


def test_the_schedule_is_chosen_with_every_fault_named(app: Flask, depot: Depot) -> None:
    clerk, path = sign_in(app, "limin"), f"/resources/{depot.database()}/backup-schedule"
    assert lint(clerk.get(path).text) == []
    refused = clerk.post(path, daily_at="25:99", keep_days="0")
    assert refused.status_code == 422
    assert 'href="#f-daily_at"' in refused.text
    assert 'href="#f-keep_days"' in refused.text
    assert clerk.post(path, daily_at="03:30", keep_days="14").status_code == 302
    assert "每天 03:30，保留 14 天" in clerk.get(path.removesuffix("/backup-schedule")).text


def test_engineers_see_what_fails_what_waits_and_what_nobody_proved(
    app: Flask, depot: Depot
) -> None:
    engineer = sign_in(app, "chengang")
    assert "备份正常" in engineer.get("/").text
    failing, unproven = depot.database(), depot.database()
    depot.control_plane.recovery.back_up_now(depot.city.person("limin"), failing)
    depot.fail_all("the backup store cannot be written: No space left on device")
    depot.backed_up(unproven)
    depot.city.clock.advance(days=8)
    engineer = sign_in(app, "chengang")  # the session of last week is over
    board = engineer.get("/")
    assert lint(board.text) == []
    assert "No space left on device" in board.text
    assert "演练已逾期" in board.text
    depot.control_plane.operations.retire_now(depot.city.person("chengang"), unproven, "低保")
    depot.fail_all("pg_dump failed")
    assert "最后一次备份失败，销毁在等待" in engineer.get("/").text
    page = engineer.get(f"/resources/{unproven}")
    assert "不备份，立即销毁" in page.text
    confirm = engineer.get(f"/resources/{unproven}/actions/retire_now")
    assert confirm.status_code == 200
    engineer.post(f"/resources/{unproven}/actions/retire_now", confirm_name="低保")
    assert depot.carry_out() == ["retire"]


def test_a_store_that_fills_up_raises_the_alarm_before_it_is_full(
    app: Flask, depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engineer = sign_in(app, "chengang")
    assert "备份库所在的磁盘只剩" not in engineer.get("/").text
    settings = depot.control_plane.settings
    monkeypatch.setattr(settings, "backup_store_warn_percent", 101)
    assert "备份库所在的磁盘只剩" in engineer.get("/").text


def test_the_api_takes_lists_and_restores(depot: Depot) -> None:
    api = make_api(depot.city)
    resource_id = depot.database()
    path = f"/resources/{resource_id}"
    made = api.call("limin", "POST", f"{path}/backups")
    assert (made.status_code, made.json["state"]) == (202, "pending")
    depot.carry_out()
    (backup,) = api.get("limin", f"{path}/backups").json["items"]
    assert (backup["number"], backup["state"]) == (made.json["number"], "kept")
    assert backup["manifest"]["rows"] == 3
    wrong = {"name": "别的"}
    restoration = f"{path}/backups/{backup['number']}/restoration"
    refused = api.call("limin", "POST", restoration, json=wrong)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "name")
    assert api.call("limin", "POST", restoration, json={"name": "低保"}).status_code == 202
    depot.carry_out()
    assert api.call("chengang", "POST", f"{path}/drills").status_code == 202
    depot.carry_out()
    (drill,) = api.get("limin", f"{path}/drills").json["items"]
    assert (drill["result"], drill["rows_compared"]) == ("passed", 3)
    chosen = {"daily_at": "04:00", "keep_days": 3}
    assert api.call("limin", "POST", f"{path}/backup-schedule", json=chosen).json == chosen
