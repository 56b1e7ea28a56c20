"""申请单: the filters of the list, kept under a name by the person who chose them."""

from __future__ import annotations

import re
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask

from controlplane.app import create_app
from controlplane.errors import InvalidInput, NotFound
from controlplane.tenancy.models import SavedView
from controlplane.tenancy.saved_views import VIEWS_MAX
from tests.factories import City
from tests.functional.concurrently import at_once
from tests.functional.test_ui_pages import Browsing, lint, sign_in

QUERY = "state=returned&q=%E4%BD%8E%E4%BF%9D"


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def kept(city: City) -> list[tuple[str, str]]:
    with city.control_plane.db.read() as session:
        rows = session.scalars(sa.select(SavedView).order_by(SavedView.id))
        return [(row.name, row.query) for row in rows]


def save(browsing: Browsing, name: str, query: str = QUERY) -> int:
    browsing.get(f"/requests?{QUERY}")
    return browsing.post("/requests/views", name=name, query=query).status_code


def test_filters_are_kept_found_again_and_forgotten(app: Flask, city: City) -> None:
    browsing = sign_in(app, "limin")
    assert "保存视图" not in browsing.get("/requests").text, "there is nothing to keep"
    page = browsing.get(f"/requests?{QUERY}").text
    assert (lint(page), "保存视图" in page) == ([], True)
    for _ in range(2):  # pressed twice
        assert save(browsing, " 待补正的低保 ") == 302
    assert kept(city) == [("待补正的低保", QUERY)]
    page = browsing.get(f"/requests?{QUERY}").text
    assert re.search(
        rf'href="/requests\?{re.escape(QUERY).replace("&", "&amp;")}" aria-current', page
    )
    assert "保存视图" not in page, "it is kept already"
    (address,) = re.findall(r"/requests/views/\d+/forget", page)
    assert lint(page) == []
    assert browsing.post(address).status_code == 302
    assert kept(city) == []


def test_a_name_that_is_taken_means_the_new_filters(app: Flask, city: City) -> None:
    browsing = sign_in(app, "limin")
    save(browsing, "常看")
    save(browsing, "常看", "mine=1")
    assert kept(city) == [("常看", "mine=1")]


@pytest.mark.parametrize("name", ["", "  ", "长" * 41, "a\x07b"])
def test_a_bad_name_is_said_and_kept_in_the_field(app: Flask, city: City, name: str) -> None:
    browsing = sign_in(app, "limin")
    browsing.get(f"/requests?{QUERY}")
    answer = browsing.post("/requests/views", name=name, query=QUERY)
    assert answer.status_code == 422
    assert 'id="view-name-error"' in answer.text
    assert 'value="低保"' in answer.text, "the filters are as they were"
    assert kept(city) == []


def test_only_filters_of_the_list_are_kept(app: Flask, city: City) -> None:
    browsing = sign_in(app, "limin")
    strange = f"mine=1&page=3&next=//elsewhere&q={'x' * 81}"
    assert save(browsing, "奇怪", strange) == 302
    assert kept(city) == [("奇怪", "mine=1")]


def test_another_persons_views_are_not_there(app: Flask, city: City) -> None:
    save(sign_in(app, "limin"), "只给自己看")
    other = sign_in(app, "zhangjing")
    assert "只给自己看" not in other.get("/requests").text
    with city.control_plane.db.read() as session:
        view_id = session.scalars(sa.select(SavedView.id)).one()
    other.get("/requests")
    assert other.post(f"/requests/views/{view_id}/forget").status_code == 404
    assert len(kept(city)) == 1
    with pytest.raises(NotFound):
        city.control_plane.accounts.forget_view(city.person("admin"), view_id)


def test_there_is_room_for_a_dozen_also_for_two_windows_at_once(city: City) -> None:
    accounts, limin = city.control_plane.accounts, city.person("limin")
    for number in range(VIEWS_MAX - 1):
        accounts.save_view(limin, "requests", f"视图 {number}", "mine=1")

    def another(name: str) -> None:
        accounts.save_view(limin, "requests", name, "open=1")

    ended = at_once([partial(another, f"窗口 {number}") for number in range(3)])
    refusals = [end for end in ended if isinstance(end, InvalidInput)]
    assert [r.faults[0].code for r in refusals] == ["field_too_many"] * 2
    assert ended.count(None) == 1
    assert len(kept(city)) == VIEWS_MAX
