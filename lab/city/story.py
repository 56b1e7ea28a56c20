"""The story of one request, as it happens: each step done over HTTP by the person whose it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.cells import set_cell_size
from rich.console import Console
from rich.table import Table

from lab.city.keys import Key, log_in, make_key
from lab.city.server import PEOPLE, Server
from lab.city.visitor import Files, Form, Page, Visitor
from lab.errors import LabError

DELIVERY_TIMEOUT_S = 420
IMAGES_TIMEOUT_S = 30
DATA_VOLUME_GIB = 20


@dataclass(frozen=True)
class Person:
    login: str
    name: str
    password: str


def people() -> dict[str, Person]:
    """The sample people by login."""
    declared = yaml.safe_load(PEOPLE.read_text(encoding="utf-8"))["people"]
    return {p["login"]: Person(p["login"], p["name"], p["password"]) for p in declared}


class Story:
    """Tells each stage with its seconds; a stage that fails is named and ends the story."""

    title = "一份申请的全过程 · The way of one request"

    def __init__(self, server: Server, keys_dir: Path, console: Console) -> None:
        self.server = server
        self.keys_dir = keys_dir
        self.console = console
        self.people = people()
        self.visitors: dict[str, Visitor] = {}
        self.request_id = ""
        self.request: dict[str, Any] = {}
        self.resource: dict[str, Any] = {}

    def tell(self) -> None:
        """Raises LabError naming the stage that failed."""
        started_s = time.monotonic()
        self.console.print(f"\n[bold]{self.title}[/]\n")
        for stage, who, act in self._stages():
            self._stage(stage, who, act)
        seconds = time.monotonic() - started_s
        self.console.print(f"\n  全程 [bold]{seconds:.1f} s[/] · the whole way\n")

    def _stages(self) -> list[tuple[str, str, Callable[[], str]]]:
        stages: list[tuple[str, str, Callable[[], str]]] = [
            ("申请 apply", "limin", self._apply),
            ("审批 approve", "zhangjing", lambda: self._decide("zhangjing", "符合规范，同意")),
            ("会审 joint review", "wanglei", lambda: self._decide("wanglei", "无重复建设，同意")),
            ("交付 deliver", "", self._wait_for_delivery),
        ]
        if self.server.machines_answer:
            stages.append(("登录 log in", "limin", self._log_in))
        stages.append(("计量 meter", "limin", self._metered))
        stages.append(("账单 bill", "sunli", self._bill))
        return stages

    def _stage(self, stage: str, login: str, act: Callable[[], str]) -> None:
        who = self.people[login].name if login else "系统"
        started_s = time.monotonic()
        try:
            said = act()
        except (LabError, KeyError, OSError) as error:
            self.console.print(f"  [red]✗ {stage}[/]  {who}")
            raise LabError(f"stage {stage}: {error}") from error
        seconds = time.monotonic() - started_s
        self.console.print(
            f"  [green]✓[/] {set_cell_size(stage, 18)} {seconds:6.1f} s  {who}：{said}",
            soft_wrap=True,
        )

    def _visitor(self, login: str) -> Visitor:
        if login not in self.visitors:
            self.visitors[login] = Visitor(self.server.url)
            self.visitors[login].sign_in(login, self.people[login].password)
        return self.visitors[login]

    # --- the stages -----------------------------------------------------------------------------

    def _apply(self) -> str:
        clerk = self._visitor("limin")
        page, form = self._open_form(clerk)
        self.key: Key = make_key(self.keys_dir)
        filled = {
            "zone": "internet",
            "system_name": "低保核对系统",
            "document_number": "青电政信〔2026〕18号",
            "purpose": "低保家庭经济状况核对，对接民政业务系统",
            "plan": "small",
            "image": next(value for value in form.options["image"] if value),
            "system_disk_gib": 10,
            "data_volumes.0.size_gib": DATA_VOLUME_GIB,
            "data_volumes.0.type": "standard",
            "ssh_public_key": self.key.public,
        }
        request = self._submit(clerk, page, form, filled)
        return f"{request['number']} 已提交，预占 1 核、2 GiB、{10 + DATA_VOLUME_GIB} GiB"

    def _submit(
        self,
        clerk: Visitor,
        page: Page,
        form: Form,
        filled: dict[str, Any],
        files: Files | None = None,
    ) -> dict[str, Any]:
        """The form, its check page, and the request that came of it."""
        checked = clerk.send(page, form, filled, button="_check", files=files)
        done = clerk.send(checked, checked.form("_submit"), {}, button="_submit")
        match = re.search(r"/requests/(\d+)", done.url)
        if match is None:
            raise LabError(f"the form was not accepted: ended at {done.url}")
        self.request_id = match[1]
        self.clerk_token = self._token("limin")
        return self._request()

    def _open_form(self, clerk: Visitor) -> tuple[Page, Form]:
        """The form, once the first look at the cloud has told which images it offers."""
        deadline = time.monotonic() + IMAGES_TIMEOUT_S
        while True:
            page = clerk.open("/catalogue/vm/apply")
            form = page.form("system_name", "submission_key")
            if any(form.options.get("image", [])):
                return page, form
            if time.monotonic() > deadline:
                raise LabError(
                    "the form offers no image: the cloud was not read; see the pools page"
                )
            time.sleep(0.3)

    def _decide(self, login: str, opinion: str) -> str:
        officer = self._visitor(login)
        waiting = officer.open("/approvals/to-do")
        if f"/requests/{self.request_id}" not in waiting.text:
            raise LabError(f"request {self.request_id} does not wait for {login}")
        page = officer.open(f"/requests/{self.request_id}")
        form = page.form("step_id", "opinion")
        officer.send(page, form, {"decision": "agree", "opinion": opinion})
        return f"同意：“{opinion}”"

    def _wait_for_delivery(self) -> str:
        deadline = time.monotonic() + DELIVERY_TIMEOUT_S
        request = self._request()
        while request["state"] == "delivering":
            if time.monotonic() > deadline:
                raise LabError(f"not delivered within {DELIVERY_TIMEOUT_S} s")
            time.sleep(0.3)
            request = self._request()
        if request["state"] != "fulfilled":
            raise LabError(f"the request ended {request['state']}: {request.get('reason', '')}")
        self.resource = self._api(f"/api/v1/resources/{request['resource_id']}")
        outputs = self.resource["outputs"]
        addresses = outputs.get("addresses", {})
        shown = addresses.get("floating") or addresses.get("fixed") or outputs.get("address")
        return f"{self.resource['number']} 运行中，地址 {shown}"

    def _log_in(self) -> str:
        outputs = self.resource["outputs"]
        address = outputs["addresses"]["floating"]
        said = log_in(address, self.key, outputs["host_key"])
        return f"ssh root@{address}，主机密钥相符：{said}"

    def _metered(self) -> str:
        story = self._api(f"/api/v1/resources/{self.resource['id']}")
        items = {i["item"]: i["quantity"] for i in story["intervals"] if i["ended_at"] is None}
        if items.get("vcpu") != 1:
            raise LabError(f"no open interval for the core: {items}")
        return "自交付起按秒计量：" + "、".join(_in_words(*item) for item in sorted(items.items()))

    def _bill(self) -> str:
        finance = self._visitor("sunli")
        finance.open("/months")
        token = self._token("sunli")
        deadline = time.monotonic() + 30
        while True:
            answer = finance.get_json(f"/api/v1/months/{self._month()}", token)
            row = next((d for d in answer["departments"] if self._is_clerks(d)), None)
            if row is not None and row["total_micro_yuan"] > 0:
                yuan = row["total_micro_yuan"] / 1_000_000
                return f"市民政局本月至今 ¥ {yuan:,.6f}，{row['resources']} 项资源"
            if time.monotonic() > deadline:
                raise LabError("the department is not on the month's bill")
            time.sleep(0.3)

    # --- helpers --------------------------------------------------------------------------------

    @staticmethod
    def _month() -> str:
        """The present one in Beijing."""
        return time.strftime("%Y-%m", time.gmtime(time.time() + 8 * 3600))

    @staticmethod
    def _is_clerks(row: dict[str, Any]) -> bool:
        return bool(row["department"]["code"] == "civil-affairs")

    def _token(self, login: str) -> str:
        return self.server.token(login)

    def _api(self, path: str) -> Any:
        return self._visitor("limin").get_json(path, self.clerk_token)

    def _request(self) -> dict[str, Any]:
        answer = self._api(f"/api/v1/requests/{self.request_id}")
        self.request = answer.get("request", answer)
        return self.request


def _in_words(item: str, quantity: int) -> str:
    """What is metered as the pages say it."""
    if item == "vcpu":
        return f"CPU {quantity:,} 核"
    if item == "memory_mib":
        return f"内存 {quantity / 1024:,g} GiB"
    return f"{'高性能存储' if item.endswith('.ssd') else '标准存储'} {quantity:,} GiB"


def print_people(server: Server, console: Console) -> None:
    """Where to look, and as whom."""
    declared = yaml.safe_load(PEOPLE.read_text(encoding="utf-8"))["people"]
    table = Table(
        "用户名 login", "密码 password", "姓名 name", "角色 role", box=None, pad_edge=False
    )
    for person in declared:
        roles = ", ".join(role["role"] for role in person["roles"])
        table.add_row(person["login"], person["password"], person["name"], roles)
    console.print(f"  [bold]{server.url}[/]\n")
    console.print(table)
