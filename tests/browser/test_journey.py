"""One request from the form to the running resource, as people click it."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.conftest import PHONE, Site, Visit, sign_in, stranger, visit

NAME = "低保核对系统"


def test_apply_approve_approve_see(browser: Browser, site: Site) -> None:
    clerk = stranger(browser, site)
    sign_in(clerk, "limin")
    number, path = _apply(clerk)

    officer = visit(browser, site, "zhangjing")
    _agree(officer, number, "符合规范，同意。")
    # The second office decides on the way, on a phone.
    colleague = visit(browser, site, "wanglei", width=PHONE)
    _agree(colleague, number, "与既有系统无重复建设，同意。")

    clerk.open(path)
    expect(clerk.page.locator("#progress")).to_have_attribute("data-state", "delivering")
    site.city.deliver({"addresses": {"fixed": "10.20.0.9", "floating": "172.30.77.9"}})
    # The page catches up by itself.
    expect(clerk.page.locator("#head-state")).to_contain_text("已办结", timeout=10_000)
    clerk.page.click("#progress a")
    expect(clerk.page.locator("h1")).to_have_text(NAME)
    expect(clerk.page.locator("main")).to_contain_text("172.30.77.9")
    for person in (clerk, officer, colleague):
        assert person.complaints == []


def _apply(clerk: Visit) -> tuple[str, str]:
    """Fills the form, checks and submits it; (request number, its page)."""
    page = clerk.page
    clerk.open("/catalogue")
    page.click("article a.btn-primary")
    price = page.locator("#summary .live-price strong")
    before = price.inner_text()
    page.fill("#f-system_name", NAME)
    page.check("input[name=plan][value=large]", force=True)
    expect(price).not_to_have_text(before)
    page.click("button[name=_check]")
    expect(page.locator("h1")).to_have_text("核对并提交")
    page.click("button[name=_edit]")
    expect(page.locator("#f-system_name")).to_have_value(NAME)
    page.click("button[name=_check]")
    page.click("button[name=_submit]")
    expect(page.locator("#head-state")).to_contain_text("审批中")
    number = page.locator(".crumbs li").last.inner_text()
    return number, page.url.removeprefix(clerk.url)


def _agree(officer: Visit, number: str, opinion: str) -> None:
    officer.open("/approvals/to-do")
    officer.page.locator("tr", has_text=number).locator("th a").click()
    officer.page.fill("#opinion", opinion)
    officer.page.click("button[value=agree]")
    expect(officer.page.locator(".notice.tone-green").first).to_contain_text("已同意")


def test_every_fault_is_named_at_once_and_nothing_typed_is_lost(
    browser: Browser, site: Site
) -> None:
    clerk = visit(browser, site, "limin")
    clerk.open("/catalogue/drill/apply")
    page = clerk.page
    page.fill("#f-disk_gib", "ten")
    page.click("button[name=_check]")
    summary = page.locator("#error-summary")
    expect(summary.locator("a")).to_have_count(2)
    expect(page.locator("#f-disk_gib")).to_have_value("ten")
    summary.locator("a[href='#f-disk_gib']").click()
    assert page.evaluate("document.activeElement.id || location.hash.slice(1)") == "f-disk_gib"


def test_a_refusal_needs_a_reason(browser: Browser, site: Site) -> None:
    request_id = site.city.submit()
    officer = visit(browser, site, "zhangjing")
    page = officer.page
    page.goto(f"{site.url}/requests/{request_id}")
    page.click("button[value=refuse]")
    expect(page.locator("#opinion-error")).to_be_visible()


def test_destroying_asks_for_the_name(browser: Browser, site: Site) -> None:
    resource_id = site.city.delivered()
    clerk = visit(browser, site, "limin")
    clerk.open(f"/resources/{resource_id}/actions/retire")
    button = clerk.page.locator("[data-needs-name]")
    expect(button).to_be_disabled()
    clerk.page.fill("#confirm_name", NAME)
    expect(button).to_be_enabled()
    button.click()
    expect(clerk.page.locator("main")).to_contain_text("待销毁")


def test_theme_text_size_and_language_are_kept(browser: Browser, site: Site) -> None:
    clerk = visit(browser, site, "limin")
    page = clerk.page
    clerk.open("/")
    page.click(".top [data-preference=theme] >> visible=true")
    page.click(".top [data-preference=text] >> visible=true")
    page.click(".top a[hreflang=en] >> visible=true")
    root = page.locator("html")
    expect(root).to_have_attribute("lang", "en")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    expect(root).to_have_attribute("data-text", "large")
    assert clerk.complaints == []
