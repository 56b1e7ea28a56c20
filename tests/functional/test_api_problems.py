"""What is wrong is said in one shape, in the reader's language, and never with a traceback."""

from __future__ import annotations

import logging

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from controlplane.accounts import Accounts
from tests.factories import City
from tests.functional.api_fixtures import BODY, FORM, Api, make_api

MEMBERS = {"type", "title", "status", "detail", "code", "instance", "errors"}


@pytest.fixture
def api(city: City) -> Api:
    return make_api(city)


def is_problem(answer: TestResponse, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body = answer.json
    assert set(body) == MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:egov-cloud:error:{code}"
    assert body["instance"].startswith("urn:egov-cloud:trace:")
    assert body["title"]
    assert body["detail"]
    return dict(body)


def test_without_a_good_token(api: Api) -> None:
    missing = api.get("", "/me")
    is_problem(missing, 401, "token_required")
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="egov-cloud"'
    for sent in ("Bearer nonsense", "Bearer", "Basic bGltaW46eA==", "Bearer " + "x" * 5000):
        refused = api.get("", "/me", headers={"Authorization": sent})
        is_problem(refused, 401, "token_required")
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_a_page_cookie_opens_nothing_here(api: Api) -> None:
    secret = api.city.control_plane.accounts.sign_in("limin", "minzheng-2026", "127.0.0.1")
    client: FlaskClient = api.app.test_client()
    client.set_cookie("egov_session", secret)
    assert client.get("/api/v1/me").status_code == 401
    assert client.post("/api/v1/requests", json=BODY).status_code == 401


def test_a_token_past_its_time(api: Api) -> None:
    assert api.get("limin", "/me").status_code == 200
    api.city.clock.advance(days=91)
    is_problem(api.get("limin", "/me"), 401, "token_required")


def test_addresses_and_methods(api: Api) -> None:
    for path in (
        "/nothing",
        "/requests/",
        "/requests/abc",
        "/requests/" + "9" * 40,
        "/months/2026",
    ):
        is_problem(api.get("limin", path), 404, "not_found")
    is_problem(api.get("limin", "/requests/999999999999999999"), 404, "not_found")
    is_problem(api.get("sunli", "/months/2026-13"), 404, "not_found")
    wrong = api.call("limin", "PUT", "/requests")
    is_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert "GET" in wrong.json["detail"]
    # a page's address stays a page's
    assert "text/html" in api.app.test_client().get("/nothing").content_type


def test_the_language_is_the_readers(api: Api) -> None:
    chinese = api.get("limin", "/jobs")
    assert (chinese.json["title"], chinese.headers["Content-Language"]) == ("没有权限", "zh")
    for wanted in ("en", "en-GB,en;q=0.9", "fr, en;q=0.5"):
        english = api.get("limin", "/jobs", headers={"Accept-Language": wanted})
        assert english.json["title"] == "Forbidden"
        assert english.headers["Content-Language"] == "en"
        assert "Accept-Language" in english.headers["Vary"]
    assert (
        api.get("limin", "/jobs", headers={"Accept-Language": "zh-CN"}).json["title"] != "Forbidden"
    )
    assert api.get("limin", "/jobs", headers={"Accept-Language": "fr"}).json["title"] != "Forbidden"


def test_every_fault_of_a_body_at_once(api: Api) -> None:
    body = {"service": 5, "zone": "a\nb", "form": [], "rack": 1, "department_id": "x"}
    refused = api.post("limin", "/request-previews", body)
    is_problem(refused, 422, "invalid_input")
    assert {(e["field"], e["code"]) for e in refused.json["errors"]} == {
        ("service", "field_not_text"),
        ("zone", "field_control_characters"),
        ("form", "field_type"),
        ("rack", "field_unknown"),
        ("department_id", "field_not_integer"),
    }
    assert all(e["detail"] for e in refused.json["errors"])
    query = api.get("limin", "/requests?page=0&state=odd&mine=1&sort=up")
    is_problem(query, 422, "invalid_input")
    assert {(e["field"], e["code"]) for e in query.json["errors"]} == {
        ("page", "field_too_small"),
        ("state", "field_choice"),
        ("mine", "field_choice"),
        ("sort", "field_unknown"),
    }


def test_every_fault_of_a_form_at_once(api: Api) -> None:
    form = {
        "system_name": "核对'\";--\n🏛",
        "plan": "huge",
        "disk_gib": "ten",
        "volumes": [{"size_gib": 0, "type": "tape"}, {"size_gib": 10**9, "type": "ssd"}],
        "rack": 1,
    }
    refused = api.submit(form=form, zone="classified")
    is_problem(refused, 422, "invalid_input")
    assert {(e["field"], e["code"]) for e in refused.json["errors"]} == {
        ("form.system_name", "field_control_characters"),
        ("form.plan", "field_choice"),
        ("form.disk_gib", "field_not_integer"),
        ("form.volumes.0.size_gib", "field_too_small"),
        ("form.volumes.0.type", "field_choice"),
        ("form.volumes.1.size_gib", "field_too_large"),
        ("form.rack", "field_unknown"),
        ("zone", "zone_not_offered"),
    }
    assert api.get("limin", "/requests").json["total"] == 0


def test_quotes_and_emoji_come_back_as_they_went(api: Api) -> None:
    name = "核对'\"; DROP TABLE resource;-- 🏛 <b>"
    made = api.submit(form={**FORM, "system_name": name}).json
    assert (made["title"], made["form"]["system_name"]) == (name, name)
    assert name in api.get("limin", f"/requests/{made['id']}").text.replace('\\"', '"')


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"form": NaN}',
        b'{"form": {"n": -Infinity}}',
        b'{"form": {"n": 1e400}}',
        b'{"form": {"n": 9007199254740993}}',
        b'{"form": {"n": ' + b"9" * 5000 + b"}}",
        b'{"form": {"name": "\\ud800"}}',
        b'{"form": {"\\ud800": 1}}',
        b"[" * 100_000,
        b'{"form": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_json_that_readers_disagree_on(api: Api, body: bytes) -> None:
    sent = api.call(
        "limin", "POST", "/request-previews", data=body, content_type="application/json"
    )
    is_problem(sent, 400, "json_malformed")


def test_bodies_of_another_kind(api: Api) -> None:
    for body in ([], "text", 5, None):
        refused = api.call("limin", "POST", "/request-previews", json=body)
        is_problem(refused, 422, "invalid_input")
    form = api.call("limin", "POST", "/request-previews", data={"service": "drill"})
    is_problem(form, 415, "unsupported_media_type")
    large = api.call("limin", "POST", "/request-previews", json={"service": "x" * 600_000})
    is_problem(large, 413, "request_too_large")
    empty = api.call("limin", "POST", "/request-previews")
    is_problem(empty, 422, "invalid_input")
    hundred = api.post("limin", "/request-previews", {**BODY, "form": {**FORM, "disk_gib": 100.0}})
    assert hundred.json["capacity"]["storage_gib.standard"] == 100


def test_too_many_calls(api: Api) -> None:
    api.app.config.update(
        API_READS="3 per minute", API_CHANGES="2 per minute", API_STRANGERS="2 per minute"
    )
    assert [api.get("limin", "/me").status_code for _ in range(3)] == [200] * 3
    limited = api.get("limin", "/me")
    is_problem(limited, 429, "too_many_requests")
    assert 0 < int(limited.headers["Retry-After"]) <= 61
    # changes are counted apart, other people by themselves
    assert api.post("limin", "/request-previews", BODY).status_code == 200
    assert api.get("sunli", "/me").status_code == 200
    assert [api.get("", "/me").status_code for _ in range(3)] == [401, 401, 429]


def test_the_unexpected_is_logged_with_its_trace(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = api.bearer("limin")

    def broken(_self: Accounts, _secret: str) -> None:
        raise RuntimeError("secret inner words")

    monkeypatch.setattr(Accounts, "identify_token", broken)
    with caplog.at_level(logging.ERROR):
        answer = api.get("", "/me", headers=token)
    is_problem(answer, 500, "internal_error")
    assert "secret inner words" not in answer.text
    assert "Traceback" not in answer.text
    trace = answer.json["instance"].rpartition(":")[2]
    assert trace in caplog.text
    assert "secret inner words" in caplog.text
