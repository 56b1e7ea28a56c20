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
from tests.factories import City
from tests.functional.depot import Depot, open_depot
from tests.functional.hall import Hall, open_hall
from ui import assets
from ui.session import COOKIE

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

    def log_request(self, *_: object) -> None:
        """A page that fails says so itself; the rest would hide it."""


@dataclass
class Site:
    """A city served over HTTP."""

    city: City
    url: str


@pytest.fixture
def site(city: City) -> Iterator[Site]:
    """The sample city on a port of its own."""
    with served(city) as found:
        yield found


@pytest.fixture
def depot(tmp_path: Path, sample_url: str) -> Depot:
    """The sample city with the services that are really offered, databases among them."""
    return open_depot(tmp_path, sample_url)


@pytest.fixture
def hall(tmp_path: Path, sample_url: str) -> Hall:
    """The sample city with everything offered."""
    return open_hall(tmp_path, sample_url)


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
    """One person's browser window; collects whatever the browser complains about."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def remember(self, name: str, value: str) -> None:
        """A cookie."""
        self.context.add_cookies([{"name": name, "value": value, "url": self.url}])

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
    """A window in which `login` is signed in; `script` False: in a browser that runs none."""
    password = people()[login].password
    secret = site.city.control_plane.accounts.sign_in(login, password, "127.0.0.1")
    found = stranger(browser, site, language=language, width=width, script=script)
    found.remember(COOKIE, secret)
    return found


def stranger(
    browser: Browser, site: Site, *, language: str = "zh", width: int = WIDE, script: bool = True
) -> Visit:
    """A window in which nobody is signed in."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS[width]}, java_script_enabled=script
    )
    page = context.new_page()
    found = Visit(context, page, site.url)
    found.remember("language", language)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.complaints.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.complaints.append(f"{page.url}: {error}"))
    return found


def sign_in(visitor: Visit, login: str) -> None:
    """Through the page for it."""
    visitor.open("/sign-in")
    visitor.page.fill("#login", login)
    visitor.page.fill("#password", people()[login].password)
    visitor.page.click("form button[type=submit]")
    visitor.page.wait_for_url(f"{visitor.url}/")
