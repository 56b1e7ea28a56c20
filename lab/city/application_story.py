"""The story of a database with its application: on Kubernetes, through loss, restore, rotation."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.city.application import ARCHIVE, Household, archive, visited
from lab.city.database_story import DatabaseStory
from lab.errors import LabError

NOTES = ("孙某某，三口之家", "周某某，独居", "吴某某，二口之家")
DOWN_TIMEOUT_S = 10


class ApplicationStory(DatabaseStory):
    title = "一个数据库和使用它的应用 · A database, and the application that uses it"

    def _stages(self) -> list[tuple[str, str, Callable[[], str]]]:
        stages = super()._stages()
        at = 1 + next(i for i, (stage, _, _) in enumerate(stages) if stage.startswith("连接"))
        return [
            *stages[:at],
            ("申请应用 apply", "limin", self._apply_for_application),
            ("审批 approve", "zhangjing", lambda: self._decide("zhangjing", "同意")),
            ("上线 go live", "", self._go_live),
            ("使用 use", "limin", self._use),
            *stages[at:],
        ]

    def _apply_for_application(self) -> str:
        """An upload and a choice among the department's databases, on one form."""
        self.database = self.resource
        clerk = self._visitor("limin")
        page = clerk.open("/catalogue/webapp/apply")
        filled = {
            "zone": "internet",
            "system_name": "低保家庭登记",
            "purpose": "低保家庭登记",
            "runtime": "python",
            "health_path": "/ready",
            "database": self.database["id"],
            "plan": "small",
            "replicas": 1,
        }
        form = page.form("system_name", "submission_key")
        files = {"archive.file": (ARCHIVE, archive())}
        request = self._submit(clerk, page, form, filled, files)
        return f"{request['number']} 已提交：上传 {ARCHIVE}，使用数据库 {self.database['number']}"

    def _go_live(self) -> str:
        """Delivered, and answering a client outside the cluster."""
        self._wait_for_delivery()
        self.application, self.resource = self.resource, self.database
        self.household = Household(self.application["outputs"]["url"])
        households, account = self.household.ask()
        if households != self.rows:
            raise LabError(f"the application counts {households} of {self.rows} rows")
        number, url = self.application["number"], self.household.url
        return f"{number} 运行中，{url} 以账号 {account} 数出 {households:,} 户"

    def _use(self) -> str:
        for note in NOTES:
            self.household.register(note)
        self.rows += len(NOTES)
        households, _ = self.household.ask()
        if self._rows(self.uri) != households:
            raise LabError(f"the application counts {households}, the database {self.rows}")
        return f"经网页登记 {len(NOTES)} 户，数据库中 {households:,} 行"

    def _lose(self) -> str:
        said = super()._lose()
        status = self.household.status()
        if status != 500:
            raise LabError(f"without its table the application answers {status}")
        return f"{said}，应用报错 HTTP {status}"

    def _exchange(self) -> str:
        said, deadline = super()._exchange(), time.monotonic() + DOWN_TIMEOUT_S
        while self.household.status() != 200:
            if time.monotonic() > deadline:
                raise LabError("the application does not come back with its table")
            time.sleep(0.1)
        households, _ = self.household.ask()
        if households != self.rows:
            raise LabError(f"the application counts {households} of {self.rows} rows")
        return f"{said}，应用恢复"

    def _rotate(self) -> str:
        """The application takes the new account by itself, while somebody visits it."""
        with visited(self.household) as visits:
            said = super()._rotate()
            self._job_ended("renew_database", self.application)
            _, account = self.household.ask()
        if visits.failures:
            raise LabError(f"{len(visits.failures)} visits failed: {visits.failures[0]}")
        if len(visits.accounts) != 2:
            raise LabError(f"the application went on as {account} alone")
        return f"{said}；应用自动改用 {account}，期间访问 {visits.good} 次，失败 0 次"

    def _bill(self) -> str:
        """Finance sees each of the three, and what it has cost so far."""
        said, shown = super()._bill(), self._months_resources()
        for resource in (self.database, self.application, self.restored):
            if shown.get(resource["number"], 0) <= 0:
                raise LabError(f"{resource['number']} costs nothing on the month's bill")
        yuan = shown[self.application["number"]] / 1_000_000
        return f"{said}，其中应用 ¥ {yuan:,.6f}"

    def _months_resources(self) -> dict[str, int]:
        """Micro-yuan of each resource of the clerk's department, by its number."""
        finance, token, month = self._visitor("sunli"), self._token("sunli"), self._month()
        departments = finance.get_json(f"/api/v1/months/{month}", token)["departments"]
        mine = next(d["department"] for d in departments if self._is_clerks(d))
        told = finance.get_json(f"/api/v1/months/{month}/departments/{mine['id']}", token)
        return {r["number"]: r["total_micro_yuan"] for r in told["resources"]}
