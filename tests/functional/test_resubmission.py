"""A returned request made good on its page: submitted again, under its number, once."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from controlplane.app import create_app
from controlplane.approval.rules import Decision
from controlplane.reports.requests import request_story
from tests.factories import City
from tests.functional.test_ui_pages import Browsing, sign_in

FORM = {"zone": "internet", "system_name": "低保核对系统", "plan": "small", "disk_gib": "40"}
HIDDEN = re.compile(r'type="hidden" name="(submission_key|request_id)" value="([^"]*)"')


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def submit(browsing: Browsing, path: str, **changes: str) -> str:
    """Opens a form and submits it as it is drawn; the address of the request."""
    hidden = dict(HIDDEN.findall(browsing.get(path).text))
    form = {**FORM, **hidden, **changes, "_submit": "1"}
    answers = [browsing.post("/catalogue/drill/provision/ask", **form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]  # pressed twice
    assert answers[0].location == answers[1].location
    return answers[0].location


def test_what_was_returned_is_submitted_again_with_its_number(app: Flask, city: City) -> None:
    browsing = sign_in(app, "limin")
    address = submit(browsing, "/catalogue/drill/apply")
    request_id = int(address.rsplit("/", 1)[1])
    city.decide("zhangjing", request_id, Decision.RETURN, "系统名称请写全称")
    again = f"/catalogue/drill/apply?request={request_id}"
    assert submit(browsing, again, system_name="居民最低生活保障核对系统") == address
    with city.control_plane.db.read() as session:
        story = request_story(session, city.person("limin"), request_id)
        assert story.request.state == "in_approval"
        assert story.request.title == "居民最低生活保障核对系统"
        assert [step.state for step in story.steps].count("pending") == 1
    city.approve(request_id)


def test_the_first_form_sent_again_after_a_return_changes_nothing(app: Flask, city: City) -> None:
    browsing = sign_in(app, "limin")
    hidden = dict(HIDDEN.findall(browsing.get("/catalogue/drill/apply").text))
    form = {**FORM, **hidden, "_submit": "1"}
    first = browsing.post("/catalogue/drill/provision/ask", **form)
    request_id = int(first.location.rsplit("/", 1)[1])
    city.decide("zhangjing", request_id, Decision.RETURN, "系统名称请写全称")
    assert browsing.post("/catalogue/drill/provision/ask", **form).location == first.location
    with city.control_plane.db.read() as session:
        story = request_story(session, city.person("limin"), request_id)
        assert story.request.state == "returned"
