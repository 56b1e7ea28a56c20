"""Upgrades of instances: by groups, a few at a time, admitted, metered, stopped by a failure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from controlplane.admission.books import counter_differences
from controlplane.admission.models import QuotaBound
from controlplane.app import create_app
from controlplane.audit import Actor, AuditEvent
from controlplane.cli import main
from controlplane.errors import (
    AdmissionRefused,
    Forbidden,
    InvalidInput,
    NotFound,
    StateConflict,
    UpgradeOpen,
)
from controlplane.metering.models import UsageInterval
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.service import LeaseLost
from controlplane.reports.upgrades import find_campaign
from controlplane.upgrade_plans import Plan
from controlplane.upgrading import Upgrading
from tests.factories import City, open_city
from tests.functional.concurrently import at_once
from tests.functional.test_ui_pages import lint, sign_in
from tests.newer import release_drill, services_with_drill

ENGINEER = "chengang"
PLAN = Plan("drill", "1.0.0", "2.0.0")


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where drill 1.0.0 is offered, and where 2.0.0 is."""
    before, after = (
        services_with_drill(tmp_path_factory.mktemp(when)) for when in ("before", "after")
    )
    release_drill(after)
    return before, after


@pytest.fixture
def released(tmp_path: Path, sample_url: str, services: tuple[Path, Path]) -> Iterator[City]:
    """Three small drill machines of 1.0.0, now that 2.0.0 is offered; by two departments."""
    before, after = services
    city = open_city(tmp_path, sample_url, before)
    for login in ("limin", "zhaoguodong", "limin"):
        city.delivered(login)
    city.control_plane.db.dispose()
    made = open_city(tmp_path, sample_url, after)
    yield made
    with made.control_plane.db.read() as session:
        assert counter_differences(session) == [], "the books are right, whatever happened"
    made.control_plane.db.dispose()


def upgrading(city: City) -> Upgrading:
    return city.control_plane.upgrading


def start(city: City, **changes: Any) -> str:
    return upgrading(city).start(city.person(ENGINEER), Plan(**{**PLAN.__dict__, **changes}))


def members(city: City, number: str) -> list[str]:
    with city.control_plane.db.read() as session:
        return [m.state for m in find_campaign(session, number, city.clock()).campaign.members]


def state(city: City, number: str) -> str:
    with city.control_plane.db.read() as session:
        return find_campaign(session, number, city.clock()).campaign.state


def resources(city: City) -> list[Resource]:
    with city.control_plane.db.read() as session:
        return list(session.scalars(sa.select(Resource).order_by(Resource.number)))


def versions(city: City) -> list[str]:
    return [row.service_version for row in resources(city)]


def held(city: City, resource_id: str, item: str) -> list[tuple[int, bool]]:
    """(quantity, whether it goes on) of an item's intervals in order."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(UsageInterval)
            .where(UsageInterval.resource_id == resource_id, UsageInterval.item == item)
            .order_by(UsageInterval.t0)
        )
        return [(row.quantity, row.t1 is None) for row in rows]


def events(city: City) -> list[str]:
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(AuditEvent.event)
            .where(AuditEvent.event.like("%upgrade%"))
            .order_by(AuditEvent.id)
        )
        return list(rows)


def test_the_preview_says_what_would_change_and_changes_nothing(released: City) -> None:
    preview = upgrading(released).preview(released.person(ENGINEER), PLAN)
    assert [each.upgraded.asked for each in preview.instances] == [
        {"memory_mib": 2048, "vcpu": 1}
    ] * 3
    first = preview.instances[0]
    assert (first.upgraded.restarts, first.upgraded.playbook) == (True, "services/drill/change.yml")
    assert first.monthly_after > first.monthly_before > 0
    assert versions(released) == ["1.0.0"] * 3
    assert events(released) == []


def test_one_after_the_other_and_the_meter_changes_with_each(released: City) -> None:
    number = start(released)
    ids = [row.id for row in resources(released)]
    for done in range(3):
        assert upgrading(released).advance() == 1
        assert upgrading(released).advance() == 0, "one at a time"
        assert members(released, number) == ["done"] * done + ["running"] + ["pending"] * (2 - done)
        released.clock.advance(hours=1)
        run = released.control_plane.delivery.claim("test:1")
        assert run is not None
        assert run.extravars["service_version"] == "2.0.0"
        assert run.extravars["previous_service_version"] == "1.0.0"
        assert (
            run.extravars["previous_spec"]["plan"]["vcpu"],
            run.extravars["spec"]["plan"]["vcpu"],
        ) == (1, 2)
        assert held(released, ids[done], "vcpu") == [(1, True)]
        released.control_plane.delivery.complete(run, {})
        assert held(released, ids[done], "vcpu") == [(1, False), (2, True)]
    upgrading(released).advance()
    assert state(released, number) == "finished"
    assert versions(released) == ["2.0.0"] * 3
    assert [row.capacity["vcpu"] for row in resources(released)] == [2] * 3
    assert events(released).count("resource_upgraded") == 3
    assert events(released)[-1] == "upgrade_finished"


def test_groups_go_in_order_and_no_more_at_once_than_was_said(released: City) -> None:
    second = resources(released)[1].number
    number = start(released, at_once=2, groups=(second,))
    assert upgrading(released).advance() == 1, "the next group waits for the first"
    released.deliver()
    assert versions(released) == ["1.0.0", "2.0.0", "1.0.0"]
    assert upgrading(released).advance() == 2
    released.deliver()
    upgrading(released).advance()
    assert state(released, number) == "finished"


def test_the_first_failure_stops_it_the_instance_goes_back_and_it_can_go_on(released: City) -> None:
    number = start(released)
    upgrading(released).advance()
    assert released.fail_jobs("no room on any host") == ["upgrade"] * 3
    assert members(released, number)[0] == "going_back"
    assert upgrading(released).advance() == 0
    assert state(released, number) == "stopped"
    run = released.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.playbook == "services/drill/change.yml"
    assert run.extravars["is_undoing"] is True
    assert run.extravars["spec"]["plan"]["vcpu"] == 1
    released.control_plane.delivery.complete(run, {})
    first = resources(released)[0]
    assert (first.state, first.service_version, first.capacity["vcpu"]) == ("active", "1.0.0", 1)
    assert held(released, first.id, "vcpu") == [(1, True)]
    assert members(released, number) == ["failed", "pending", "pending"]
    assert upgrading(released).advance() == 0, "stopped is stopped"
    upgrading(released).resume(released.person(ENGINEER), number)
    for _ in range(3):
        assert upgrading(released).advance() == 1
        released.deliver()
    upgrading(released).advance()
    assert (state(released, number), versions(released)) == ("finished", ["2.0.0"] * 3)
    assert [e for e in events(released) if e.startswith("upgrade_")] == [
        "upgrade_started",
        "upgrade_stopped",
        "upgrade_resumed",
        "upgrade_finished",
    ]


def test_a_worker_killed_amid_an_upgrade_is_followed_by_one_that_finishes_it(
    released: City,
) -> None:
    number = start(released)
    upgrading(released).advance()
    delivery = released.control_plane.delivery
    killed = delivery.claim("test:1")
    assert killed is not None
    released.clock.advance(minutes=5)
    assert upgrading(released).advance() == 0, "it is under way still"
    again = delivery.claim("test:2")
    assert again is not None
    assert again.extravars == killed.extravars
    with pytest.raises(LeaseLost):
        delivery.complete(killed, {})
    delivery.complete(again, {})
    assert versions(released) == ["2.0.0", "1.0.0", "1.0.0"]
    assert members(released, number) == ["done", "pending", "pending"]


def test_it_goes_on_inside_its_window_only(tmp_path: Path, released: City) -> None:
    settings = released.control_plane.settings.model_copy(
        update={"maintenance_window": "22:00-06:00"}
    )
    plane = released.control_plane
    within = Upgrading(plane.db, plane.catalogue, settings, released.clock)
    within.start(released.person(ENGINEER), PLAN)  # half past nine in the morning
    assert within.advance() == 0
    released.clock.advance(hours=13)
    assert within.advance() == 1
    released.deliver()
    released.clock.advance(hours=8)
    assert within.advance() == 0
    assert versions(released) == ["2.0.0", "1.0.0", "1.0.0"]


def test_what_quota_or_pool_cannot_take_is_refused_before_anything_begins(released: City) -> None:
    with released.control_plane.db.transaction() as session:
        session.execute(
            sa.update(QuotaBound)
            .where(QuotaBound.dimension == "vcpu")
            .values(capacity=QuotaBound.allocated + 1)
        )
    with pytest.raises(AdmissionRefused) as refused:
        start(released)
    short = {f.params["department"]["en"]: f.params["asked"] for f in refused.value.faults}
    assert {f.code for f in refused.value.faults} == {"quota_short"}
    assert max(short.values()) == 3, "the city's quota is asked once for all"
    assert events(released) == []


def test_what_is_busy_or_about_to_change_is_waited_for_and_what_is_gone_passed_over(
    released: City,
) -> None:
    limin = released.person("limin")
    first, second, third = (row.id for row in resources(released))
    number = start(released, at_once=3)
    released.control_plane.operations.operate_resource(limin, first, "power_off", {})
    grown = {"volumes": [{"size_gib": 5, "type": "ssd"}]}
    change = released.control_plane.pipeline.submit_request(
        limin, Ask("drill", "change", "internet", grown, resource_id=third)
    )
    released.control_plane.operations.retire_now(released.person(ENGINEER), second, "低保核对系统")
    assert upgrading(released).advance() == 0
    released.deliver()
    assert upgrading(released).advance() == 1
    assert members(released, number) == ["running", "skipped", "pending"]
    released.decide("zhangjing", change)
    released.deliver()
    assert upgrading(released).advance() == 1
    released.deliver()
    upgrading(released).advance()
    assert state(released, number) == "finished"
    rows = {row.id: row for row in resources(released)}
    assert (rows[first].state, rows[first].service_version) == ("stopped", "2.0.0")
    assert rows[third].capacity["storage_gib.ssd"] == 5, "the change that came first is kept"
    assert (rows[third].capacity["vcpu"], rows[third].service_version) == (2, "2.0.0")


def test_cancelled_it_gives_back_what_it_held(released: City) -> None:
    number = start(released)
    upgrading(released).advance()
    upgrading(released).cancel(released.person(ENGINEER), number)
    released.deliver()
    assert upgrading(released).advance() == 0
    assert members(released, number) == ["done", "skipped", "skipped"]
    assert versions(released) == ["2.0.0", "1.0.0", "1.0.0"]
    for act in (upgrading(released).resume, upgrading(released).stop, upgrading(released).cancel):
        with pytest.raises(StateConflict):
            act(released.person(ENGINEER), number)
    assert start(released) != number, "the rest may be upgraded later"


def test_the_same_again_is_the_same_and_another_has_to_wait(released: City) -> None:
    number = start(released)
    assert start(released) == number
    with pytest.raises(UpgradeOpen):
        start(released, at_once=2)
    upgrading(released).stop(released.person(ENGINEER), number)
    assert upgrading(released).advance() == 0
    assert start(released) == number


def test_of_many_that_advance_at_once_each_instance_begins_once(released: City) -> None:
    start(released, at_once=3)
    done = at_once([partial(upgrading(released).advance)] * 4)
    assert sum(done) == 3, done
    with released.control_plane.db.read() as session:
        jobs = session.scalars(sa.select(Job.resource_id).where(Job.action == "upgrade")).all()
    assert len(jobs) == len(set(jobs)) == 3


def test_every_fault_of_a_plan_is_named_at_once(released: City) -> None:
    wrong = Plan("drill", "3.0.0", "9.0.0", 0, ("colour:red", "zone:classified"))
    with pytest.raises(InvalidInput) as refused:
        upgrading(released).start(released.person(ENGINEER), wrong)
    assert [(f.field, f.code) for f in refused.value.faults] == [
        ("to", "version_unknown"),
        ("from", "nothing_to_upgrade"),
        ("at_once", "field_too_small"),
        ("groups.0", "group_unreadable"),
        ("groups.1", "group_empty"),
    ]
    for plan, code in (
        (Plan("no_such", "1.0.0", "2.0.0"), "service_unknown"),
        (Plan("drill", "1.0.0", "1.0.0"), "upgrade_not_declared"),
    ):
        with pytest.raises(InvalidInput) as refused:
            upgrading(released).preview(Actor(None, "operator"), plan)
        assert code in {f.code for f in refused.value.faults}
    with pytest.raises(NotFound):
        upgrading(released).stop(released.person(ENGINEER), "U-20261124-0009")


def test_only_an_engineer_upgrades(released: City) -> None:
    for login in ("limin", "zhangjing"):
        with pytest.raises(Forbidden):
            upgrading(released).preview(released.person(login), PLAN)
        with pytest.raises(Forbidden):
            upgrading(released).start(released.person(login), PLAN)


def test_an_operator_previews_starts_stops_and_cancels_at_the_machine(
    released: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = released.control_plane.settings
    for name in ("var_dir", "playbooks_dir", "database_url"):
        monkeypatch.setenv(f"CONTROLPLANE_{name.upper()}", str(getattr(settings, name)))

    def told(*words: str, answer: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(main, ["services", *words], input=answer, env={"COLUMNS": "200"})
        return done.exit_code, done.output

    upgrade = ("upgrade", "drill", "--from", "1.0.0", "--to", "2.0.0")
    code, text = told(*upgrade, answer="n\n")
    assert code == 1
    assert "vcpu 1 → 2" in text
    assert "upgrade 3 instances, 1 at a time?" in text
    assert events(released) == [], "who says no has started nothing"
    code, text = told(*upgrade, "--at-once", "2", "--yes")
    number = text.split()[-1]
    assert (code, state(released, number)) == (0, "running")
    assert told("stop", number) == (0, f"{number} stopped\n")
    assert told("resume", number) == (0, f"{number} goes on\n")
    assert told("upgrades")[1] == f"{number} drill 1.0.0 → 2.0.0: running, 0 of 3\n"
    assert told("cancel", number) == (0, f"{number} cancelled\n")
    code, text = told("upgrade", "drill", "--from", "3.0.0", "--to", "x", "--at-once", "0")
    assert code == 1
    assert ["from:" in text, "to:" in text, "at_once:" in text] == [True] * 3
    assert told("versions")[1] == "  drill 1.0.0: 3\n"


def test_an_engineer_previews_starts_and_stops_on_the_pages(released: City) -> None:
    browsing = sign_in(create_app(released.control_plane), ENGINEER)
    page = browsing.get("/upgrades").text
    assert lint(page) == []
    (address,) = re.findall(r'href="(/upgrades/preview[^"]+)"', page)
    page = browsing.get(html.unescape(address)).text
    assert lint(page) == []
    assert ("3 个实例将升级" in page, "services/drill/change.yml" in page) == (True, True)
    form = {"service": "drill", "from": "1.0.0", "to": "2.0.0", "at_once": "1"}
    refused = browsing.post("/upgrades/preview", **{**form, "at_once": "0", "groups": "colour:red"})
    assert refused.status_code == 422
    assert "colour:red”不是分组" in html.unescape(refused.text)
    assert "不能小于 1" in refused.text
    assert events(released) == []
    assert "3 个实例将升级" in browsing.post("/upgrades/preview", **form, _preview="1").text
    started = browsing.post("/upgrades/preview", **form)
    number = started.location.rsplit("/", 1)[1]
    upgrading(released).advance()
    assert released.fail_jobs() == ["upgrade"] * 3
    upgrading(released).advance()
    page = browsing.get(f"/upgrades/{number}").text
    assert lint(page) == []
    assert ("no valid host" in page, "复原中" in page) == (True, True)
    resource_id = resources(released)[0].id
    assert number in browsing.get(f"/resources/{resource_id}").text
    assert browsing.post(f"/upgrades/{number}/cancel").status_code == 302
    assert browsing.post(f"/upgrades/{number}/resume").status_code == 409
    assert browsing.post(f"/upgrades/{number}/explode").status_code == 404
    clerk = sign_in(create_app(released.control_plane), "limin")
    assert "有新版本 2.0.0" in clerk.get(f"/resources/{resources(released)[2].id}").text
    released.deliver()


def test_a_program_does_the_same_over_the_api(released: City) -> None:
    client = create_app(released.control_plane).test_client()
    token = released.control_plane.accounts.create_token(released.person(ENGINEER), "test")
    headers = {"Authorization": f"Bearer {token}"}

    def post(path: str, **body: Any) -> Any:
        return client.post(f"/api/v1/upgrades{path}", json=body, headers=headers)

    wrong = post("", service="drill", from_version="1.0.0", to_version="9.9.9", groups=["x"])
    assert (wrong.status_code, [e["field"] for e in wrong.json["errors"]]) == (
        422,
        ["to_version", "groups.0"],
    )
    plan = {"service": "drill", "from_version": "1.0.0", "to_version": "2.0.0"}
    seen = post("/preview", **plan).json
    assert [each["capacity_after"]["vcpu"] for each in seen["instances"]] == [2] * 3
    started = post("", **plan)
    assert (started.status_code, started.json["state"]) == (201, "running")
    assert [m["state"] for m in started.json["members"]] == ["pending"] * 3
    number = started.json["number"]
    assert post(f"/{number}/stop").json["state"] == "stopped"
    assert post(f"/{number}/resumption").json["state"] == "running"
    assert post(f"/{number}/cancellation").json["state"] == "cancelled"
    listed = client.get("/api/v1/upgrades", headers=headers).json["items"]
    assert [(row["number"], row["settled"], row["total"]) for row in listed] == [(number, 3, 3)]
