"""The page of connection details: asked for, shown once, again for a reason; kept by no cache."""

from __future__ import annotations

import pytest
from flask import Flask

from controlplane.app import create_app
from tests.factories import City
from tests.functional.test_ui_pages import lint, sign_in

PATH = "/resources/{}/connection"

#: What pages say of it; what becomes of it in a database is tested below them.
pytestmark = pytest.mark.any_database


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def test_it_is_shown_by_post_only_and_not_kept(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    clerk, path = sign_in(app, "limin"), PATH.format(resource_id)
    assert path in clerk.get(f"/resources/{resource_id}").text
    asked = clerk.get(path)
    assert lint(asked.text) == []
    assert "只显示这一次" in asked.text
    assert "drill://" not in asked.text
    shown = clerk.post(path)
    assert shown.status_code == 200
    assert lint(shown.text) == []
    assert "drill://drill:" in shown.text
    assert shown.headers["Cache-Control"] == "no-store"


def test_a_second_look_needs_a_reason(app: Flask, city: City) -> None:
    clerk, path = sign_in(app, "limin", "en"), PATH.format(city.delivered())
    clerk.get(path)
    clerk.post(path)
    asked = clerk.get(path)
    assert "say why" in asked.text
    refused = clerk.post(path, reason=" ")
    assert refused.status_code == 422
    assert "drill://" not in refused.text
    assert "drill://drill:" in clerk.post(path, reason="migration").text


def test_without_the_form_s_token_nothing_is_shown(app: Flask, city: City) -> None:
    clerk, path = sign_in(app, "limin"), PATH.format(city.delivered())
    assert clerk.client.post(path).status_code == 400
    assert "只显示这一次" in clerk.get(path).text


def test_an_engineer_is_offered_nothing(app: Flask, city: City) -> None:
    resource_id = city.delivered()
    engineer = sign_in(app, "chengang")
    assert PATH.format(resource_id) not in engineer.get(f"/resources/{resource_id}").text
    assert engineer.get(PATH.format(resource_id)).status_code == 403


def test_internal_actions_are_not_on_the_page(app: Flask, city: City) -> None:
    page = sign_in(app, "limin").get(f"/resources/{city.delivered()}").text
    assert "更换密码" in page
    assert "停用旧密码" not in page
