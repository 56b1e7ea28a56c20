"""The story of a database: ordered, written, backed up, lost, restored; its password changed."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from lab.city.story import Story
from lab.errors import LabError

ROWS = 10_000
JOB_TIMEOUT_S = 240
URI = re.compile(r"<code>(postgresql://[^<]+)</code>")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^<]+-----END CERTIFICATE-----")
REASON = "更换应用配置中的密码"


class DatabaseStory(Story):
    title = "一个数据库的全过程 · The way of a database"
    rows = ROWS

    def _stages(self) -> list[tuple[str, str, Callable[[], str]]]:
        return [
            ("申请 apply", "limin", self._apply),
            ("审批 approve", "zhangjing", lambda: self._decide("zhangjing", "同意")),
            ("交付 deliver", "", self._wait_for_delivery),
            ("连接 connect", "limin", self._connect),
            ("备份 back up", "limin", self._back_up),
            ("误删 lose", "limin", self._lose),
            ("恢复 restore", "limin", self._restore),
            ("互换 exchange", "limin", self._exchange),
            ("更换密码 rotate", "limin", self._rotate),
            ("账单 bill", "sunli", self._bill),
        ]

    def _apply(self) -> str:
        clerk = self._visitor("limin")
        page = clerk.open("/catalogue/postgresql/apply")
        form = page.form("system_name", "submission_key")
        filled = {
            "zone": "internet",
            "system_name": "低保核对数据库",
            "purpose": "低保家庭经济状况核对",
            "plan": "small",
            "database_name": "dibao",
        }
        request = self._submit(clerk, page, form, filled)
        return f"{request['number']} 已提交：共享小型，5 GiB，20 个连接"

    def _connect(self) -> str:
        """By the connection string of the page, the server's certificate verified."""
        self.uri = self._shown_uri()
        with psycopg.connect(self.uri) as connection:
            connection.execute(
                "CREATE TABLE household "
                "(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)"
            )
            connection.execute(
                "INSERT INTO household (note) SELECT md5(n::text) FROM generate_series(1, %s) n",
                [self.rows],
            )
        with psycopg.connect(self.uri) as connection:
            asked = connection.execute("SELECT session_user, count(*) FROM household")
            user, count = asked.fetchall()[0]
        return f"账号 {user} 经 TLS 连接，写入并读回 {count:,} 行"

    def _back_up(self) -> str:
        """By the button on the resource's page; what is in it stands in the API."""
        clerk, path = self._visitor("limin"), f"/resources/{self.resource['id']}"
        page = clerk.open(path)
        clerk.send(page, page.form_to(f"{path}/backups"), {})
        self._job_ended("backup")
        self.backup = self._api(f"/api/v1{path}/backups")["items"][0]
        if self.backup["state"] != "kept":
            raise LabError(f"the backup ended {self.backup['state']}: {self.backup['error']}")
        rows = self.backup["manifest"]["tables"]["public.household"]["rows"]
        size_kib = self.backup["size_bytes"] / 1024
        return f"{self.backup['number']} 已加密保存：{rows:,} 行，{size_kib:,.0f} KiB"

    def _lose(self) -> str:
        with psycopg.connect(self.uri) as connection:
            connection.execute("DROP TABLE household")
        return "household 表被误删"

    def _restore(self) -> str:
        """An ordinary order whose form names the backup; what is built holds its rows."""
        clerk, source = self._visitor("limin"), self.resource
        page = clerk.open(f"/catalogue/postgresql/apply?restore_from={self.backup['number']}")
        form = page.form("system_name", "submission_key")
        request = self._submit(clerk, page, form, {"system_name": "低保核对数据库（恢复）"})
        self._decide("zhangjing", "同意")
        self._wait_for_delivery()
        self.restored, count = self.resource, self._rows(self._shown_uri())
        self.resource = source
        return f"{request['number']} 获批，新实例 {self.restored['number']} 带着 {count:,} 行交付"

    def _exchange(self) -> str:
        """The old connection string leads to the restored rows."""
        clerk, path = self._visitor("limin"), f"/resources/{self.resource['id']}/exchange"
        page = clerk.open(path)
        typed = {"other": self.restored["id"], "confirm_name": self.resource["name"]}
        clerk.send(page, page.form_to(path), typed)
        self._job_ended("exchange")
        return f"两个实例互换数据，原来的连接串不变，读回 {self._rows(self.uri):,} 行"

    def _rotate(self) -> str:
        """An application goes on with the old password; the new one holds at once."""
        with _application(self.uri) as (answers, faults):
            self._press("rotate_password")
            fresh = self._shown_uri()
            if fresh == self.uri:
                raise LabError("the password is the same as before")
            with psycopg.connect(fresh) as connection:
                count = connection.execute("SELECT count(*) FROM household").fetchall()[0][0]
            with psycopg.connect(self.uri):
                pass  # the old one is good for its grace time
        if answers["bad"]:
            said = f"{answers['bad']} queries of the application failed meanwhile"
            raise LabError(f"{said}: {faults[0]}")
        if count != self.rows:
            raise LabError(f"{count} of {self.rows} rows under the new password")
        return f"新旧密码同时有效，期间应用查询 {answers['good']} 次，失败 {answers['bad']} 次"

    # --- helpers --------------------------------------------------------------------------------

    def _rows(self, uri: str) -> int:
        """Errors: LabError when a row is missing."""
        with psycopg.connect(uri) as connection:
            count = int(connection.execute("SELECT count(*) FROM household").fetchall()[0][0])
        if count != self.rows:
            raise LabError(f"{count} of {self.rows} rows came back")
        return count

    def _shown_uri(self) -> str:
        """The connection string on the page of connection details, with the CA put beside it."""
        clerk, path = self._visitor("limin"), f"/resources/{self.resource['id']}/connection"
        page = clerk.open(path)
        shown = clerk.send(page, page.form_to(path), {"reason": REASON})
        found, certificate = URI.search(shown.text), CERTIFICATE.search(shown.text)
        if found is None or certificate is None:
            raise LabError(f"the page shows no connection string: {shown.url}")
        ca = self.keys_dir / "ca.pem"
        # In one step: an application that is connecting reads this very file meanwhile.
        fresh = ca.with_suffix(".new")
        fresh.write_text(certificate[0] + "\n", encoding="ascii")
        fresh.replace(ca)
        return html.unescape(found[1]).replace("sslrootcert=ca.pem", f"sslrootcert={ca.resolve()}")

    def _press(self, action: str) -> None:
        """Starts an action on its page and waits for its job's good end."""
        clerk, path = self._visitor("limin"), f"/resources/{self.resource['id']}"
        page = clerk.open(f"{path}/actions/{action}")
        clerk.send(page, page.form_to(f"{path}/actions/{action}"), {})
        self._job_ended(action)

    def _job_ended(self, action: str, resource: dict[str, Any] | None = None) -> None:
        """Waits for the good end of a resource's newest job, which is of this action."""
        path = f"/resources/{(resource or self.resource)['id']}"
        deadline = time.monotonic() + JOB_TIMEOUT_S
        while True:
            job = self._api(f"/api/v1{path}")["jobs"][0]
            if job["action"] == action and job["state"] not in ("queued", "running"):
                break
            if time.monotonic() > deadline:
                raise LabError(f"{action} did not end within {JOB_TIMEOUT_S} s")
            time.sleep(0.2)
        if job["state"] != "succeeded":
            raise LabError(f"{action} ended {job['state']}")


@contextmanager
def _application(uri: str) -> Iterator[tuple[dict[str, int], list[str]]]:
    """Asks for a count over a new connection each time until the block ends; counts the answers,
    and keeps what failed in words."""
    answers, over = {"good": 0, "bad": 0}, threading.Event()
    faults: list[str] = []

    def ask() -> None:
        while not over.is_set():
            try:
                with psycopg.connect(uri, connect_timeout=5) as connection:
                    connection.execute("SELECT count(*) FROM household")
                answers["good"] += 1
            except psycopg.Error as error:
                answers["bad"] += 1
                faults.append(str(error).strip())
            over.wait(0.1)

    application = threading.Thread(target=ask, daemon=True)
    application.start()
    try:
        yield answers, faults
    finally:
        over.set()
        application.join()
