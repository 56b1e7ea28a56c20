"""Every page at both widths: heading, title, labels, no sideways scroll.

Each is opened as by one person, every other one in English; with `--thorough`, as by everybody who
finds something else on it, in both languages, and with a database, an application or an upgrade on
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from controlplane.app import create_app
from controlplane.approval.rules import Decision
from controlplane.readings import DiskReading
from controlplane.upgrade_plans import Plan
from tests.browser.conftest import HEIGHTS, PHONE, WIDE, Site, served, visit
from tests.factories import open_city
from tests.functional.depot import Depot
from tests.functional.hall import Hall, archive, with_pods
from tests.newer import release_drill, services_with_drill

#: endpoint -> (who opens it, its address); {request}, {returned}, {resource}, {retiring},
#: {protected}, {job} and {department} are filled in. Fragments, files and redirects have no page
#: of their own.
PAGES = {
    "home.index": [(login, "/") for login in ("limin", "zhangjing", "chengang", "sunli", "admin")],
    "catalogue.index": [("limin", "/catalogue")],
    "asking.apply": [
        ("limin", "/catalogue/drill/apply"),
        ("sunhong", "/catalogue/drill/apply"),
        ("limin", "/catalogue/drill/apply?request={returned}"),
    ],
    "asking.change": [("limin", "/resources/{resource}/change/{change}")],
    "requests.index": [("limin", "/requests"), ("limin", "/requests?state=failed&q=x")],
    "requests.show": [
        ("limin", "/requests/{request}"),
        ("limin", "/requests/{returned}"),
        ("zhangjing", "/requests/{request}"),
    ],
    "resources.index": [("limin", "/resources"), ("chengang", "/resources?q=nothing")],
    "resources.show": [("limin", "/resources/{resource}"), ("chengang", "/resources/{retiring}")],
    "operating.confirm": [
        ("limin", "/resources/{resource}/actions/retire"),
        ("chengang", "/resources/{retiring}/actions/retire_now"),
    ],
    "protecting.second": [
        ("limin", "/resources/{protected}/second-person"),
        ("chengang", "/resources/{protected}/second-person"),
    ],
    "renewing.form": [("limin", "/resources/{resource}/renewal")],
    "connecting.ask": [("limin", "/resources/{resource}/connection")],
    "approvals.to_do": [("zhangjing", "/approvals/to-do")],
    "approvals.done": [("zhangjing", "/approvals/done")],
    "jobs.index": [("chengang", "/jobs")],
    "jobs.show": [("chengang", "/jobs/{job}")],
    "certificates.index": [("limin", "/certificates"), ("chengang", "/certificates?state=held")],
    "pools.index": [("chengang", "/pools")],
    "pools.quotas": [("sunli", "/quotas"), ("limin", "/quotas")],
    "finance.month": [("sunli", "/months"), ("limin", "/months")],
    "finance.month_of": [("sunli", "/months/2026-10")],
    "finance.department": [("sunli", "/months/2026-11/departments/{department}")],
    "finance.resource": [("sunli", "/months/2026-11/resources/{resource}")],
    "finance.prices": [("sunli", "/prices")],
    "admin.departments": [("admin", "/departments")],
    "admin.people": [("admin", "/people")],
    "admin.audit": [("zhouwei", "/audit")],
    "account.token": [("limin", "/account/token")],
    "search.index": [("limin", "/search?q=系统"), ("limin", "/search?q=nothing")],
}
#: The same of a database with a {backup}, and another to exchange it with.
DATABASE_PAGES = {
    "home.index": [("limin", "/")],
    "resources.show": [("limin", "/resources/{database}"), ("chengang", "/resources/{database}")],
    "operating.confirm": [
        ("limin", f"/resources/{{database}}/actions/{action}")
        for action in ("add_account", "add_extension", "set_parameters", "remove_account")
    ],
    "connecting.ask": [("limin", "/resources/{database}/connection?account=report")],
    "recovering.choose": [("limin", "/resources/{database}/backups/{backup}")],
    "recovering.ask_exchange": [("limin", "/resources/{database}/exchange")],
    "recovering.ask_moment": [("limin", "/resources/{database}/moment")],
    "recovering.schedule": [("limin", "/resources/{database}/backup-schedule")],
    "asking.apply": [
        ("limin", "/catalogue/postgresql/apply?restore_from={backup}"),
        ("limin", "/catalogue/postgresql/apply?clone_of={database}"),
    ],
    "catalogue.index": [("limin", "/catalogue")],
}
#: The same of a web application.
APPLICATION_PAGES = {
    "catalogue.index": [("limin", "/catalogue")],
    "asking.apply": [("limin", "/catalogue/webapp/apply")],
    "asking.change": [
        ("limin", f"/resources/{{application}}/change/{action}")
        for action in ("deploy", "roll_back", "scale", "configure")
    ],
    "resources.show": [("limin", "/resources/{application}")],
    "resources.logs": [("limin", "/resources/{application}/logs")],
}
#: The same where a newer version of a service is offered, and an {upgrade} to it has stopped.
UPGRADE_PAGES = {
    "upgrades.index": [("chengang", "/upgrades"), ("zhouwei", "/upgrades")],
    "upgrades.show": [("chengang", "/upgrades/{upgrade}"), ("zhouwei", "/upgrades/{upgrade}")],
    "upgrades.preview": [
        ("chengang", "/upgrades/preview?service=drill&from=1.0.0&to=2.0.0"),
    ],
    "resources.show": [("limin", "/resources/{upgraded}")],
}
#: Who opens which address in which language, of pages listed as above.
Visits = Callable[[Mapping[str, Sequence[tuple[str, str]]]], list[tuple[str, str, str]]]

LANGUAGES = ("zh", "en")

NOT_PAGES = {
    "static", "healthz", "assets.file", "preferences.choose", "auth.sign_in",
    "certificates.file", "pki.certificate", "pki.revocations", "pki.chain",
    "requests.progress", "jobs.steps", "jobs.log", "jobs.log_text", "finance.csv",
}  # fmt: skip

#: What a person or a screen reader would stumble over, found in the page itself.
STUMBLES = """() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const named = (element) => element.textContent.trim() || element.getAttribute("aria-label");
  if (all("h1").length !== 1) found.push("not exactly one h1");
  if (!document.title.trim()) found.push("no title");
  const over = document.documentElement.scrollWidth - innerWidth;
  if (over > 0) found.push(`scrolls sideways by ${over} px`);
  for (const field of all("input:not([type=hidden]), select, textarea")) {
    if (!field.labels?.length && !field.getAttribute("aria-label")) {
      found.push(`no label: ${field.name || field.id}`);
    }
  }
  for (const element of all("a, button, summary")) {
    if (element.getClientRects().length > 0 && !named(element)) {
      found.push(`no words: ${element.outerHTML.slice(0, 90)}`);
    }
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids)) {
    if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
  }
  for (const element of all("[style], [onclick], [onchange]")) {
    if (!element.closest(".chart-space")) found.push(`style or handler: ${element.tagName}`);
  }
  return found;
}"""

#: What a thumb would miss on the phone: targets below 44 px.
SMALL_TARGETS = """() => {
  const targets = "a.btn, button, summary, .side-entry, select, input[type=text], textarea";
  return [...document.querySelectorAll(targets)]
    .filter((element) => element.getClientRects().length > 0)
    .map((element) => [element, Math.round(element.getBoundingClientRect().height)])
    .filter(([, height]) => height > 0 && height < 44)
    .map(([element, height]) => `${element.outerHTML.slice(0, 80)} is ${height} px high`);
}"""


@pytest.fixture
def visits(request: pytest.FixtureRequest) -> Visits:
    def everybody(listed: Mapping[str, Sequence[tuple[str, str]]]) -> list[tuple[str, str, str]]:
        opened = [page for pages in listed.values() for page in pages]
        return [(login, path, language) for login, path in opened for language in LANGUAGES]

    def one(listed: Mapping[str, Sequence[tuple[str, str]]]) -> list[tuple[str, str, str]]:
        return [(*pages[0], LANGUAGES[n % 2]) for n, pages in enumerate(listed.values())]

    return everybody if request.config.getoption("--thorough") else one


def prepared(site: Site) -> dict[str, str]:
    """A city in which every page has something to show; the words for PAGES."""
    city = site.city
    resource, retiring = city.delivered(), city.delivered(system_name="退订中的系统")
    city.control_plane.operations.retire_resource(city.person("limin"), retiring, "退订中的系统")
    city.deliver()
    protected = city.delivered(system_name="受保护的系统")
    city.control_plane.protecting.protect_resource(city.person("limin"), protected)
    city.control_plane.operations.retire_resource(city.person("limin"), protected, "受保护的系统")
    returned = city.submit(system_name="待补正系统")
    city.decide("zhangjing", returned, Decision.RETURN, "请补充等保备案号")
    request = city.submit(system_name="审批中系统")
    city.approve(city.submit(system_name="交付失败的系统"))
    city.fail_jobs()
    city.clock.advance(hours=5)
    service = city.control_plane.catalogue["drill"]
    change = service.action_of_kind("change")
    return {
        "resource": resource,
        "retiring": retiring,
        "protected": protected,
        "request": str(request),
        "returned": str(returned),
        "job": "1",
        "department": str(city.department_id("civil-affairs")),
        "change": change.code if change else "",
    }


def test_every_page_is_looked_at(site: Site) -> None:
    app: Flask = create_app(site.city.control_plane)
    endpoints = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/api", "/openapi"))
    }
    listed = set(PAGES) | set(DATABASE_PAGES) | set(APPLICATION_PAGES) | set(UPGRADE_PAGES)
    assert endpoints - NOT_PAGES == listed, "list new pages here, so that they are looked at"


def test_pages(browser: Browser, site: Site, visits: Visits) -> None:
    assert stumbles_on(browser, site, visits(PAGES), prepared(site)) == []


@pytest.mark.thorough
def test_pages_of_a_database(browser: Browser, depot: Depot, visits: Visits) -> None:
    database = depot.database()
    backup = depot.backed_up(database)
    depot.control_plane.disks.keep(database, DiskReading(6 << 30, is_read_only=False))
    depot.carry_out()
    depot.operate(database, "add_account", account="report", rights="read")
    depot.control_plane.recovery.drill_now(depot.city.person("chengang"), database)
    depot.carry_out()
    depot.database(system_name="低保副本")
    names = {"database": database, "backup": backup}
    with served(depot.city) as site:
        assert stumbles_on(browser, site, visits(DATABASE_PAGES), names) == []


@pytest.mark.thorough
def test_pages_of_an_application(browser: Browser, hall: Hall, visits: Visits) -> None:
    with_pods(hall.city)
    database = hall.ask("postgresql", plan="small", database_name="dibao")
    environment = [{"name": "MOTTO", "value": "为人民服务"}]
    application = hall.application(database=database, environment=environment)
    hall.change(application, "deploy", archive=hall.upload(archive("<p>2")))
    names = {"application": application}
    with served(hall.city) as site:
        assert stumbles_on(browser, site, visits(APPLICATION_PAGES), names) == []


@pytest.mark.thorough
def test_pages_of_an_upgrade(
    browser: Browser, tmp_path: Path, sample_url: str, visits: Visits
) -> None:
    services = services_with_drill(tmp_path)
    old = open_city(tmp_path, sample_url, services)
    names = {"upgraded": old.delivered(), "other": old.delivered(plan="large")}
    old.delivered(system_name="婚姻登记系统")
    old.control_plane.db.dispose()
    release_drill(services)
    city = open_city(tmp_path, sample_url, services)
    upgrading, plan = city.control_plane.upgrading, Plan("drill", "1.0.0", "2.0.0")
    names["upgrade"] = upgrading.start(city.person("chengang"), plan)
    upgrading.advance()
    city.fail_jobs("no room on any host")
    upgrading.advance()
    with served(city) as site:
        assert stumbles_on(browser, site, visits(UPGRADE_PAGES), names) == []


def stumbles_on(
    browser: Browser,
    site: Site,
    visits: Sequence[tuple[str, str, str]],
    names: Mapping[str, str],
) -> list[str]:
    """Whatever is wrong on the pages, each opened on a phone and then on a wide screen."""
    by_person: dict[str, list[tuple[str, str]]] = {}
    for login, path, language in visits:
        by_person.setdefault(login, []).append((language, path.format(**names)))
    stumbles: list[str] = []
    for login, paths in by_person.items():
        visitor = visit(browser, site, login, width=PHONE)
        for language, path in paths:
            visitor.remember("language", language)
            visitor.page.set_viewport_size({"width": PHONE, "height": HEIGHTS[PHONE]})
            visitor.open(path)
            found = look_at(visitor.page, language, PHONE)
            visitor.page.set_viewport_size({"width": WIDE, "height": HEIGHTS[WIDE]})
            found += look_at(visitor.page, language, WIDE)
            stumbles += [f"{login} {path}, {language}: {stumble}" for stumble in found]
        stumbles += visitor.complaints
        visitor.context.close()
    return stumbles


def look_at(page: Page, language: str, width: int) -> list[str]:
    """Everything wrong with the page in hand."""
    found: list[str] = page.evaluate(STUMBLES)
    if page.locator("html").get_attribute("lang") != ("zh-CN" if language == "zh" else "en"):
        found.append("wrong lang")
    if width == PHONE:
        found += page.evaluate(SMALL_TARGETS)
    return [f"{stumble}, {width} px wide" for stumble in found]
