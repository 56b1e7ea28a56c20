"""Renewing on the pages: one lease with its choices, several at once, each result told."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from controlplane.app import create_app
from controlplane.provisioning.models import Resource
from tests.factories import City
from tests.functional.test_ui_pages import Browsing, lint, sign_in

#: What pages say of it; what becomes of it in a database is tested below them.
pytestmark = pytest.mark.any_database

SEEN = re.compile(r'name="lease_seen" value="([^"]+)"')


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def ends_on(city: City, resource_id: str) -> str:
    with city.control_plane.db.read() as session:
        ends_at = session.get_one(Resource, resource_id).expires_at
        assert ends_at is not None
        return ends_at.date().isoformat()


def state(city: City, resource_id: str) -> str:
    with city.control_plane.db.read() as session:
        return session.get_one(Resource, resource_id).state


def test_a_lease_is_renewed_by_one_of_the_choices(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    browsing = sign_in(app, "limin")
    assert f"/resources/{resource_id}/renewal" in browsing.get(f"/resources/{resource_id}").text
    page = browsing.get(f"/resources/{resource_id}/renewal").text
    assert lint(page) == []
    # 36 months at the longest, 12 of them given: up to 24 more
    assert re.findall(r'name="months" value="(\d+)"', page) == ["1", "3", "6", "12", "24"]
    assert "到 2028-11-24" in page
    seen = SEEN.search(page)
    assert seen is not None
    form = {"months": "12", "lease_seen": seen[1]}
    for _ in range(2):  # pressed twice
        answer = browsing.post(f"/resources/{resource_id}/renewal", **form)
        assert answer.status_code == 302
    assert ends_on(city, resource_id) == "2028-11-24"
    page = browsing.get(f"/resources/{resource_id}").text
    assert "已续期到 2028-11-24" in page
    assert page.count('<span class="what">续期</span>') == 1  # in its history, once


@pytest.mark.parametrize("months", ["0", "ten", "", "25", "1000000000"])
def test_a_wrong_length_is_named_and_nothing_changes(app: Flask, city: City, months: str) -> None:
    resource_id = city.delivered()
    browsing = sign_in(app, "limin")
    seen = SEEN.search(browsing.get(f"/resources/{resource_id}/renewal").text)
    assert seen is not None
    answer = browsing.post(f"/resources/{resource_id}/renewal", months=months, lease_seen=seen[1])
    assert answer.status_code == 422
    assert 'href="#f-months"' in answer.text
    assert lint(answer.text) == []
    assert ends_on(city, resource_id) == "2027-11-24"


def test_a_renewal_without_the_lease_one_saw_is_not_understood(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    browsing = sign_in(app, "limin")
    browsing.get(f"/resources/{resource_id}/renewal")
    for seen in ("", "soon", "2027-11-24T01:30:00"):
        answer = browsing.post(f"/resources/{resource_id}/renewal", months="1", lease_seen=seen)
        assert answer.status_code == 400


def test_at_the_longest_lease_the_page_says_so(app: Flask, city: City) -> None:
    resource_id = city.delivered(lease_months=36)
    browsing = sign_in(app, "limin")
    assert f"/resources/{resource_id}/renewal" not in browsing.get(f"/resources/{resource_id}").text
    assert "现在不能续期" in browsing.get(f"/resources/{resource_id}/renewal").text


def test_who_may_only_look_is_not_offered_to_renew(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    engineer = sign_in(app, "chengang")
    assert "续期" not in engineer.get("/resources").text
    assert "续期" not in engineer.get(f"/resources/{resource_id}").text
    assert engineer.get(f"/resources/{resource_id}/renewal").status_code == 403
    assert sign_in(app, "zhaoguodong").get(f"/resources/{resource_id}/renewal").status_code == 404


def batch(browsing: Browsing, action: str, ids: list[str], **more: str) -> TestResponse:
    """Ticks resources of the list in hand, as it was shown, and presses a button."""
    page = browsing.get("/resources").text
    leases = dict(re.findall(r'name="(lease\.[^"]+)" value="([^"]+)"', page))
    form = {"csrf_token": browsing.token, "action": action, "resource_id": ids, **leases, **more}
    return browsing.client.post("/resources/batch", data=form)


def test_several_are_renewed_at_once_and_each_result_is_told(app: Flask, city: City) -> None:
    first, second = city.delivered(system_name="第一个"), city.delivered(system_name="第二个")
    full = city.delivered(system_name="期限最长的", lease_months=36)
    theirs = city.delivered("zhaoguodong", system_name="别人的")
    browsing = sign_in(app, "limin")
    answer = batch(browsing, "renew", [first, second, full, theirs, first], months="6")
    assert answer.status_code == 200
    assert lint(answer.text) == []
    assert "2 项成功" in answer.text
    assert "2 项没有执行" in answer.text
    assert answer.text.count("已续期到 2028-05-24") == 2
    assert "使用期限最长到 2029-11-24" in answer.text
    assert "别人的" not in answer.text
    assert {ends_on(city, r) for r in (first, second)} == {"2028-05-24"}
    assert ends_on(city, theirs) == "2027-11-24"


def test_a_batch_sent_twice_renews_once(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    browsing = sign_in(app, "limin")
    page = browsing.get("/resources").text
    leases = dict(re.findall(r'name="(lease\.[^"]+)" value="([^"]+)"', page))
    form = {
        "csrf_token": browsing.token,
        "action": "renew",
        "resource_id": resource_id,
        "months": "12",
        **leases,
    }
    for _ in range(2):
        assert "1 项成功" in browsing.client.post("/resources/batch", data=form).text
    assert ends_on(city, resource_id) == "2028-11-24"


def test_several_are_stopped_and_started_and_a_refusal_stops_none(app: Flask, city: City) -> None:
    running, stopped = city.delivered(system_name="运行的"), city.delivered(system_name="停着的")
    city.control_plane.operations.operate_resource(city.person("limin"), stopped, "power_off", {})
    city.deliver()
    browsing = sign_in(app, "limin")
    answer = batch(browsing, "power_off", [stopped, running, "no-such-thing"])
    assert "1 项成功" in answer.text
    assert "当前状态“已停止”不能执行此操作" in answer.text  # in the page's words
    city.deliver()
    assert state(city, running) == "stopped"
    answer = batch(browsing, "power_on", [stopped, running])
    assert "2 项成功" in answer.text
    city.deliver()
    assert {state(city, r) for r in (stopped, running)} == {"active"}


def test_a_batch_of_nothing_or_of_no_action_does_nothing(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    browsing = sign_in(app, "limin")
    answer = batch(browsing, "renew", [], months="6")
    assert answer.status_code == 302
    assert "请先勾选资源" in browsing.get("/resources").text
    assert batch(browsing, "retire", [resource_id]).status_code == 404
    assert batch(sign_in(app, "chengang"), "renew", [resource_id], months="1").status_code == 403
    assert ends_on(city, resource_id) == "2027-11-24"
    assert state(city, resource_id) == "active"


def test_what_expires_soon_stands_on_the_first_page_and_in_a_list(app: Flask, city: City) -> None:
    soon = city.delivered(system_name="快到期的", lease_months=1)
    city.delivered(system_name="还早的")
    browsing = sign_in(app, "limin")
    page = browsing.get("/").text
    assert "快到期的" in page
    assert f"/resources/{soon}/renewal" in page
    city.clock.advance(days=1)
    listed = sign_in(app, "limin").get("/resources?expires=30").text
    assert "快到期的" in listed
    assert "还早的" not in listed
    everything = sign_in(app, "limin").get("/resources?expires=nonsense").text
    assert "还早的" in everything


def test_the_first_page_is_quiet_until_thirty_days_ahead(app: Flask, city: City) -> None:
    city.delivered(lease_months=3)
    assert "30 天内没有到期的资源" in sign_in(app, "limin").get("/").text
    city.clock.now += timedelta(days=70)
    assert "30 天内没有到期的资源" not in sign_in(app, "limin").get("/").text
