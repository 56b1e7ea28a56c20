"""The main job in a browser that runs no script: ask, decide, look, operate, renew."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PHONE, Site, Visit, sign_in, stranger, visit

NAME = "低保核对系统"


def number_of(page: Page) -> str:
    return page.locator(".crumbs li").last.inner_text()


def ask(clerk: Visit) -> str:
    """Fills the form, adds and removes a volume, checks, corrects and submits; the number."""
    page = clerk.page
    clerk.open("/catalogue/drill/apply")
    page.fill("#f-system_name", NAME)
    page.click("button[name=_add]")
    page.fill("[name='volumes.0.size_gib']", "20")
    page.select_option("[name='volumes.0.type']", "ssd")
    page.click("button[name=_add]")
    page.fill("[name='volumes.1.size_gib']", "30")
    page.click("button[name=_remove][value='volumes.1']")
    expect(page.locator("[name='volumes.1.size_gib']")).to_have_count(0)
    expect(page.locator("[name='volumes.0.size_gib']")).to_have_value("20")
    page.fill("#f-disk_gib", "ten")
    page.click("button[name=_check]")
    expect(page.locator("#error-summary")).to_be_visible()
    expect(page.locator("#f-system_name")).to_have_value(NAME)
    page.fill("#f-disk_gib", "40")
    page.click("button[name=_check]")
    expect(page.locator("h1")).to_have_text("核对并提交")
    page.click("button[name=_submit]")
    expect(page.locator("#head-state")).to_contain_text("审批中")
    return number_of(page)


def decide(officer: Visit, number: str, decision: str, opinion: str) -> None:
    officer.open("/approvals/to-do")
    officer.page.locator("tr", has_text=number).locator("th a").click()
    officer.page.fill("#opinion", opinion)
    officer.page.click(f"button[value={decision}]")


def test_from_the_form_to_the_machine_without_script(browser: Browser, site: Site) -> None:
    clerk = stranger(browser, site, width=PHONE, script=False)
    sign_in(clerk, "limin")
    number = ask(clerk)
    path = clerk.page.url.removeprefix(site.url)

    first = visit(browser, site, "zhangjing", width=PHONE, script=False)
    decide(first, number, "return", "")
    expect(first.page.locator("#opinion-error")).to_be_visible()  # a return needs its reason
    decide(first, number, "agree", "符合规范")
    expect(first.page.locator(".notice.tone-green").first).to_contain_text("已同意")
    second = visit(browser, site, "wanglei", width=PHONE, script=False)
    decide(second, number, "agree", "")
    expect(second.page.locator(".notice.tone-green").first).to_contain_text("已同意")

    site.city.deliver({"addresses": {"fixed": "10.20.0.9"}})
    clerk.open(path)
    expect(clerk.page.locator("#head-state")).to_contain_text("已办结")
    clerk.page.click("#progress a")
    expect(clerk.page.locator("h1")).to_have_text(NAME)
    expect(clerk.page.locator("main")).to_contain_text("10.20.0.9")


def test_returned_mended_and_withdrawn_without_script(browser: Browser, site: Site) -> None:
    clerk = visit(browser, site, "limin", script=False)
    number = ask(clerk)
    path = clerk.page.url.removeprefix(site.url)
    officer = visit(browser, site, "zhangjing", script=False)
    decide(officer, number, "return", "请补充等保备案号")
    clerk.open(path)
    expect(clerk.page.locator("main")).to_contain_text("请补充等保备案号")
    clerk.page.click("main a[href*='request=']")
    expect(clerk.page.locator("#f-system_name")).to_have_value(NAME)
    clerk.page.click("button[name=_check]")
    clerk.page.click("button[name=_submit]")
    expect(clerk.page.locator("#head-state")).to_contain_text("审批中")
    assert number_of(clerk.page) == number


def test_a_lease_is_renewed_and_machines_are_stopped_without_script(
    browser: Browser, site: Site
) -> None:
    first, second = site.city.delivered(), site.city.delivered(system_name="第二个")
    clerk = visit(browser, site, "limin", script=False)
    page = clerk.page
    clerk.open(f"/resources/{first}")
    page.click(f"a[href='/resources/{first}/renewal']")
    page.check("input[name=months][value='6']", force=True)
    page.click("main button[type=submit]")
    expect(page.locator(".notice.tone-green").first).to_contain_text("已续期到 2028-05-24")

    clerk.open("/resources")
    expect(page.locator("[data-tick-all]")).to_be_hidden()  # it would do nothing
    for resource_id in (first, second):
        page.check(f"input[name=resource_id][value='{resource_id}']")
    page.select_option("#batch-months", "3")
    page.click("button[name=action][value=renew]")
    expect(page.locator("main")).to_contain_text("2 项成功")
    expect(page.locator("main")).to_contain_text("已续期到 2028-08-24")
    expect(page.locator("main")).to_contain_text("已续期到 2028-02-24")
    page.click(".page-actions a")
    page.check(f"input[name=resource_id][value='{second}']")
    page.click("button[name=action][value=power_off]")
    expect(page.locator("main")).to_contain_text("1 项成功")
    assert site.city.deliver() == ["power_off"]

    page.goto(f"{site.url}/resources/{second}/actions/retire")
    page.fill("#confirm_name", "第二个")
    page.click("main button[type=submit]")
    expect(page.locator("main")).to_contain_text("待销毁")
    page.click("main form button")  # thinks better of it
    expect(page.locator("main")).to_contain_text("已取消销毁")


def test_charts_are_tables_without_script(browser: Browser, site: Site) -> None:
    site.city.delivered()
    finance = visit(browser, site, "sunli", script=False)
    finance.open(f"/months/2026-11?department={site.city.department_id('civil-affairs')}")
    page = finance.page
    expect(page.locator(".chart-space").first).to_be_hidden()
    page.click("#held details summary")
    expect(page.locator("#held table").first).to_contain_text("2.5")
    page.select_option("#held-department", str(site.city.department_id("city")))
    page.click("#held button[type=submit]")
    assert "department=" in page.url
    finance.open("/pools")
    page.locator("details summary", has_text="以表格查看").first.click()
    expect(page.locator("figure table").first).to_contain_text("0.1")


def test_all_on_a_page_are_ticked_at_once_where_there_is_script(
    browser: Browser, site: Site
) -> None:
    site.city.delivered()
    site.city.delivered(system_name="第二个")
    clerk = visit(browser, site, "limin")
    clerk.open("/resources")
    boxes = clerk.page.locator("input[name=resource_id]")
    all_of_them = clerk.page.locator("[data-tick-all]")
    all_of_them.check()
    assert [box.is_checked() for box in boxes.all()] == [True, True]
    boxes.first.uncheck()
    expect(all_of_them).not_to_be_checked()
    boxes.first.check()
    expect(all_of_them).to_be_checked()
    clerk.page.click("button[name=action][value=renew]")
    expect(clerk.page.locator("main")).to_contain_text("2 项成功")
    assert clerk.complaints == []
