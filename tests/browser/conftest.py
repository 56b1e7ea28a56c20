"""A real server over the sample city, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from controlplane.app import create_app
from lab.city.story import people
from tests.factories import City, make_city
from tests.functional.depot import SERVICES, Depot
from tests.functional.hall import Hall
from ui import assets

WIDE, PHONE = 1440, 390
HEIGHTS = {WIDE: 960, PHONE: 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless, never asking anything of the Internet."""
    path = os.environ.get("TEST_CHROMIUM") or shutil.which("chromium")
    assert path, "browser tests need chromium and fonts-noto-cjk; `make test` installs them"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


class KeepsConnections(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


@dataclass
class Site:
    """A city served over HTTP."""

    city: City
    url: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The sample city on a port of its own."""
    with served(make_city(tmp_path)) as found:
        yield found


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    """The sample city with the services that are really offered, databases among them."""
    inventory = tmp_path / "inventory.yml"
    return Depot(make_city(tmp_path, services=SERVICES, shared_inventory=inventory))


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    """The sample city with everything offered."""
    told = tmp_path / "told"
    return Hall(make_city(tmp_path, services=SERVICES, shared_inventory=told, kubeconfig=told))


@contextmanager
def served(city: City) -> Iterator[Site]:
    """The city's pages over HTTP, until the block ends."""
    assets.build()
    # Werkzeug's server, for it can be ended: waitress waits for its browsers to hang up.
    app = create_app(city.control_plane)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepsConnections)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield Site(city, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)
    city.control_plane.db.dispose()


@dataclass
class Visit:
    """One signed-in person's browser window; collects whatever the browser complains about."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a page and wait until it and its scripts are there."""
        response = self.page.goto(f"{self.url}{path}", wait_until="load")
        assert response is not None
        assert response.status == 200, f"{path}: {response.status}"


def visit(
    browser: Browser,
    site: Site,
    login: str,
    *,
    language: str = "zh",
    width: int = WIDE,
    script: bool = True,
) -> Visit:
    """Signs `login` in through the sign-in page; `script` False: in a browser that runs none."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS[width]}, java_script_enabled=script
    )
    context.add_cookies([{"name": "language", "value": language, "url": site.url}])
    page = context.new_page()
    found = Visit(context, page, site.url)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.complaints.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.complaints.append(f"{page.url}: {error}"))
    found.open("/sign-in")
    page.fill("#login", login)
    page.fill("#password", people()[login].password)
    page.click("form button[type=submit]")
    page.wait_for_url(f"{site.url}/")
    return found
