"""Every component on one page, and every error page, in both themes and at both widths."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import waitress
from playwright.sync_api import Browser

from tests.browser.conftest import PHONE, WIDE
from tests.browser.gallery import create_gallery_app
from tests.browser.test_every_page import STUMBLES
from ui import assets
from ui.problems import PROBLEMS


@pytest.fixture
def gallery_url() -> Iterator[str]:
    assets.build()
    server = waitress.create_server(create_gallery_app(), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(timeout=10)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_components(browser: Browser, gallery_url: str, theme: str) -> None:
    context = browser.new_context()
    context.add_cookies([{"name": "theme", "value": theme, "url": gallery_url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in ("/", "/login", *(f"/error/{status}" for status in PROBLEMS)):
        page.goto(f"{gallery_url}{path}")
        for width in (WIDE, PHONE):
            page.set_viewport_size({"width": width, "height": 900})
            complaints += [f"{path}, {width} px: {stumble}" for stumble in page.evaluate(STUMBLES)]
    context.close()
    assert complaints == []
