"""Pages without a browser: who opens what, valid HTML, forged and doubled forms, hostile names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import html5lib
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from controlplane.app import create_app
from controlplane.policy import TABLE, Role
from controlplane.reports.requests import find_request
from lab.city.story import people
from tests.factories import City

ROLE_OF = {
    "limin": Role.APPLICANT,
    "zhangjing": Role.APPROVER,
    "chengang": Role.ENGINEER,
    "sunli": Role.FINANCE,
    "zhouwei": Role.SUPERVISOR,
    "admin": Role.ADMINISTRATOR,
}

#: A page of each permission: the address, and the row of the policy table that opens it.
PAGES = [
    ("/", "home.view"),
    ("/catalogue", "catalogue.view"),
    ("/catalogue/drill/apply", "request.create"),
    ("/requests", "request.view"),
    ("/resources", "resource.view"),
    ("/approvals/to-do", "approval.view"),
    ("/approvals/done", "approval.view"),
    ("/jobs", "job.view"),
    ("/upgrades", "upgrade.view"),
    ("/pools", "pool.view"),
    ("/certificates", "certificate.view"),
    ("/quotas", "quota.view"),
    ("/months", "month.view"),
    ("/months/2026-10", "month.view"),
    ("/months/2026-11.csv", "month.view"),
    ("/prices", "price.view"),
    ("/departments", "tenancy.view"),
    ("/people", "tenancy.view"),
    ("/audit", "audit.view"),
    ("/account/token", "token.manage"),
    ("/search?q=x", "home.view"),
]

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Browsing:
    """A person's client; posts carry the token that the page in hand gave out."""

    client: FlaskClient
    token: str = ""

    def get(self, path: str) -> TestResponse:
        answer = self.client.get(path)
        found = CSRF.search(answer.text) if answer.mimetype == "text/html" else None
        self.token = found[1] if found else self.token
        return answer

    def post(self, path: str, **fields: str) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token, **fields})


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def sign_in(app: Flask, login: str, language: str = "zh") -> Browsing:
    browsing = Browsing(app.test_client())
    browsing.client.set_cookie("language", language)
    browsing.get("/sign-in")
    answer = browsing.post("/sign-in", login=login, password=people()[login].password)
    assert answer.status_code == 302, answer.text
    return browsing


def lint(html: str) -> list[str]:
    """What is not valid HTML5."""
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(html)
    return [f"{position}: {code} {data}" for position, code, data in parser.errors]


def test_strangers_are_sent_to_sign_in(app: Flask) -> None:
    for path, _ in PAGES:
        answer = app.test_client().get(path)
        assert answer.status_code == 302, path
        assert answer.location.startswith("/sign-in"), path


@pytest.mark.parametrize("login", ROLE_OF)
def test_each_role_opens_what_the_policy_says(app: Flask, login: str) -> None:
    browsing = sign_in(app, login)
    for path, action in PAGES:
        expected = 200 if ROLE_OF[login] in TABLE[action] else 403
        assert browsing.get(path).status_code == expected, (login, path)


@pytest.mark.any_database  # what they ask of it is asked by the test before
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("login", ROLE_OF)
def test_pages_are_valid_html_in_their_language(
    app: Flask, city: City, login: str, language: str
) -> None:
    city.delivered()
    browsing = sign_in(app, login, language)
    for path, action in PAGES:
        if ROLE_OF[login] not in TABLE[action] or path.endswith(".csv"):
            continue
        answer = browsing.get(path)
        assert lint(answer.text) == [], path
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_error_pages_say_what_to_do_and_carry_a_trace_number(app: Flask) -> None:
    browsing = sign_in(app, "limin")
    for path, status in (("/nothing-here", 404), ("/jobs", 403), ("/requests/999", 404)):
        answer = browsing.get(path)
        assert answer.status_code == status
        assert "什么没有变" in answer.text
        assert re.search(r'class="mono">[0-9a-f]{12}<', answer.text)
        assert lint(answer.text) == []


def test_another_departments_things_are_not_found(app: Flask, city: City) -> None:
    theirs = city.delivered("limin")
    browsing = sign_in(app, "zhaoguodong")
    for path in (f"/resources/{theirs}", f"/resources/{theirs}/actions/retire", "/requests/1"):
        assert browsing.get(path).status_code == 404, path


def test_a_forged_form_does_nothing(app: Flask, city: City) -> None:
    request_id = city.submit()
    browsing = sign_in(app, "zhangjing")
    browsing.token = "forged"
    answer = browsing.post(f"/requests/{request_id}/decide", decision="agree", step_id="1")
    assert answer.status_code == 400
    with city.control_plane.db.read() as session:
        assert find_request(session, city.person("limin"), request_id).state == "in_approval"


def test_a_form_sent_twice_makes_one_request(app: Flask) -> None:
    browsing = sign_in(app, "limin")
    browsing.get("/catalogue/drill/apply")
    form = {
        "submission_key": "once-0123456789",
        "zone": "internet",
        "system_name": "低保核对系统",
        "plan": "small",
        "disk_gib": "40",
        "_submit": "1",
    }
    first = browsing.post("/catalogue/drill/provision/ask", **form)
    second = browsing.post("/catalogue/drill/provision/ask", **form)
    assert first.status_code == second.status_code == 302
    assert first.location == second.location


@pytest.mark.parametrize("size", ["0", "-1", "1000000000", "ten"])
def test_a_wrong_size_is_named_and_kept(app: Flask, size: str) -> None:
    browsing = sign_in(app, "limin")
    browsing.get("/catalogue/drill/apply")
    answer = browsing.post(
        "/catalogue/drill/provision/ask",
        zone="internet", system_name="系统", plan="small", disk_gib="40",
        **{"volumes.0.size_gib": size, "volumes.0.type": "ssd"}, _check="1",
    )  # fmt: skip
    assert answer.status_code == 422
    assert 'href="#f-volumes-0-size_gib"' in answer.text
    assert f'value="{size}"' in answer.text


HOSTILE = ['"><script>alert(1)</script>', "🏛️ 民政'系统\"", "{{ 7*7 }}"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_it_is_shown(app: Flask, city: City, name: str) -> None:
    resource_id = city.delivered(system_name=name)
    browsing = sign_in(app, "limin")
    for path in ("/", "/requests", "/requests/1", "/resources", f"/resources/{resource_id}"):
        answer = browsing.get(path)
        assert "<script>alert" not in answer.text
        assert ">49<" not in answer.text
        assert lint(answer.text) == [], path


@pytest.mark.parametrize("name", ["第一行\n第二行", "长" * 300])
def test_a_name_that_cannot_be_is_refused_with_what_was_typed(app: Flask, name: str) -> None:
    browsing = sign_in(app, "limin")
    browsing.get("/catalogue/drill/apply")
    answer = browsing.post(
        "/catalogue/drill/provision/ask",
        zone="internet",
        system_name=name,
        plan="small",
        _check="1",
    )
    assert answer.status_code == 422
    assert 'href="#f-system_name"' in answer.text


def test_beyond_quota_every_dimension_is_named(app: Flask) -> None:
    browsing = sign_in(app, "limin")
    browsing.get("/catalogue/drill/apply")
    form = {"zone": "internet", "system_name": "大系统", "plan": "large", "disk_gib": "4000"}
    rows = {"volumes.0.size_gib": "16000", "volumes.0.type": "ssd"}
    answer = browsing.post("/catalogue/drill/provision/ask", **form, **rows, _submit="1")
    assert answer.status_code == 409
    assert "标准存储" in answer.text
    assert "高性能存储" in answer.text
    assert 'value="4000"' in answer.text


def test_a_decision_after_withdrawal_is_a_conflict(app: Flask, city: City) -> None:
    request_id = city.submit()
    browsing = sign_in(app, "zhangjing")
    page = browsing.get(f"/requests/{request_id}").text
    step_id = re.search(r'name="step_id" value="(\d+)"', page)
    assert step_id is not None
    city.control_plane.pipeline.withdraw_request(city.person("limin"), request_id)
    answer = browsing.post(
        f"/requests/{request_id}/decide", decision="agree", step_id=step_id[1], opinion=""
    )
    assert answer.status_code == 409
    assert "什么没有变" in answer.text


def test_preferences_never_send_to_another_site(app: Flask) -> None:
    client = app.test_client()
    for target in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        answer = client.get("/preferences/theme/dark", query_string={"next": target})
        assert answer.location == "/"
    assert client.get("/preferences/theme/pink").status_code == 404


def test_assets_may_be_kept_for_good(app: Flask) -> None:
    client = app.test_client()
    address = re.search(r'href="(/assets/[^"]+tokens.css)"', client.get("/sign-in").text)
    assert address is not None
    answer = client.get(address[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]


def chart_data(html: str) -> list[dict[str, Any]]:
    """What charts.js is given to draw."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(text) for text in found]


def test_a_pool_shows_what_was_held_against_its_capacity(app: Flask, city: City) -> None:
    city.delivered()
    city.clock.advance(days=9)
    page = sign_in(app, "chengang").get("/pools").text
    held = chart_data(page)
    assert len(held) == 1  # one pool of four held anything
    assert [limit["value"] for limit in held[0]["limits"]] == [80, 100]
    cores = held[0]["series"][0]
    assert cores["name"] == "CPU"
    assert cores["values"][-10:] == [0.12] * 10  # 1 of 800
    assert cores["values"][-11] == 0
    # the same figures as a table, for those who cannot see the chart
    assert cores["shown"][-1] == "1\N{NO-BREAK SPACE}核 · 0.1\N{NO-BREAK SPACE}%"
    assert page.count(cores["shown"][-1]) >= 10
    assert "近 30 天没有占用" in page


def test_a_pool_says_where_it_is_heading_and_what_fits(app: Flask, city: City) -> None:
    city.delivered()
    assert "没有趋势：数据不足 7 天。" in sign_in(app, "chengang").get("/pools").text
    city.clock.advance(days=8)
    page = sign_in(app, "chengang").get("/pools").text
    assert "不会到达" in page
    # internet-a: 799 cores free, a small drill machine takes one, a large one four
    assert "799 台" in page
    assert "149 台" in page  # of 2,457,600 MiB: (2,457,600 - 2,048) / 16,384


def test_the_month_shows_what_a_department_held_against_its_quota(app: Flask, city: City) -> None:
    city.delivered()
    browsing = sign_in(app, "limin")
    page = browsing.get("/months/2026-11").text
    cores = chart_data(page)[-1]["series"][0]
    assert cores["of"] == "40\N{NO-BREAK SPACE}核"
    assert cores["values"] == [0] * 23 + [2.5]
    # a chosen one: finance sees any, a clerk who asks for another's gets their own
    finance = sign_in(app, "sunli")
    other, own = city.department_id("human-resources"), city.department_id("civil-affairs")
    page = finance.get(f"/months/2026-11?department={other}").text
    assert f'value="{other}" selected' in page
    assert "本月没有占用" in page
    chosen = finance.get(f"/months/2026-11?department={own}").text
    assert chart_data(chosen)[-1]["series"][0]["values"][-1] == 2.5
    assert chart_data(browsing.get(f"/months/2026-11?department={other}").text)[-1]["series"] == [
        *chart_data(chosen)[-1]["series"]
    ]


def test_a_departments_month_of_a_stranger_is_not_found(app: Flask, city: City) -> None:
    other = city.department_id("human-resources")
    answer = sign_in(app, "limin").get(f"/months/2026-11/departments/{other}")
    assert answer.status_code == 404
