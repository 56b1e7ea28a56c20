"""An app that shows every component on one page, without the control plane behind it."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

from flask import Blueprint, Flask, Response, render_template, request, url_for

from ui import presentation
from ui.forms import Choice, FormField
from ui.frame import assets_pages
from ui.preferences import preferences_pages
from ui.problems import PROBLEMS
from ui.states import STATES

FOLDER = Path(__file__).parent
UI = FOLDER.parents[1] / "ui"


def create_gallery_app() -> Flask:
    """The gallery at /, the log-in frame at /login, each error page at /error/<status>."""
    app = Flask(__name__, static_folder=None, template_folder=str(FOLDER / "templates"))
    app.secret_key = "gallery"
    presentation.install(app)
    app.register_blueprint(Blueprint("ui", "ui", template_folder=str(UI / "templates")))
    app.register_blueprint(assets_pages)
    app.register_blueprint(preferences_pages)
    app.context_processor(frame_context)

    @app.after_request
    def policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = presentation.CONTENT_SECURITY_POLICY
        return response

    app.add_url_rule("/", "gallery", lambda: render_template("gallery.html", **gallery_context()))
    app.add_url_rule("/login", "login", lambda: render_template("gallery_public.html"))
    app.add_url_rule("/error/<int:status>", "error", error_page)
    app.add_url_rule("/log", "log", lambda: Response("", headers={"X-Log-Finished": "yes"}))
    return app


def error_page(status: int) -> str:
    problem = PROBLEMS[status]
    filled = Thing(
        **{
            **problem.__dict__,
            "trace": "7f3a-19c2-0b44",
            "links": (("返回工作台", "/"), ("查看申请单", "/")),
        }
    )
    return render_template("errors/error.html", problem=filled)


def frame_context() -> dict[str, Any]:
    def entry(label: str, icon: str, badge: int = 0, current: bool = False) -> Thing:
        return Thing(label=label, icon=icon, badge=badge, url="/", current=current)

    groups = [
        (
            "",
            [
                entry("工作台", "layout-dashboard"),
                entry("服务目录", "layout-grid-add", current=True),
                entry("申请单", "file-text", 3),
                entry("资源", "server-2"),
            ],
        ),
        ("审批", [entry("待办", "inbox", 2), entry("已办", "checks")]),
        ("平台", [entry("作业", "player-play"), entry("资源池", "database")]),
        ("财务", [entry("本月", "calendar-dollar")]),
    ]
    return {
        "nav": [{"title": title, "entries": entries} for title, entries in groups],
        "viewer": Thing(name="李敏", department_name="市民政局", role_names="申请人"),
        "zone_in_view": "internet",
        "zones": [("internet", "外网")],
        "token_url": "/",
        "notice_count": 4,
        "home_url": "/",
        "search_url": "/",
        "notices_url": "/",
        "logout_url": "/",
        "preference_url": lambda name, value: url_for(
            "preferences.choose", name=name, value=value, next=request.path
        ),
    }


def gallery_context() -> dict[str, Any]:
    now = presentation.now()
    plans = (
        Choice("small", "小型", "1 核 · 2 GiB", "¥ 46.00 / 月"),
        Choice("standard", "标准", "2 核 · 8 GiB", "¥ 138.00 / 月"),
        Choice("large", "大型", "4 核 · 16 GiB", "¥ 276.00 / 月"),
        Choice("compute", "计算型", "8 核 · 16 GiB", disabled="超出本部门配额"),
    )

    def volume_row(index: int | str, size: Any, errors: list[str]) -> list[FormField]:
        return [
            FormField(
                f"volumes.{index}.size_gib", "integer", "容量", size, unit="GiB", errors=errors
            ),
            FormField(
                f"volumes.{index}.type",
                "select",
                "类型",
                "ssd",
                choices=(Choice("ssd", "高速盘"), Choice("hdd", "容量盘")),
            ),
        ]

    fields = {
        "purpose": [
            FormField("system", "text", "系统名称", "低保核对系统", "将写入账单与资源名称"),
            FormField("document", "text", "立项文号", "青电政信〔2026〕18号", required=False),
            FormField(
                "zone",
                "segments",
                "网络域",
                "internet",
                "各域资源池相互隔离，提交后不能更改",
                choices=(Choice("office", "专网"), Choice("internet", "外网")),
            ),
            FormField(
                "level",
                "select",
                "安全保护等级",
                "3",
                choices=(Choice("2", "第二级"), Choice("3", "第三级")),
            ),
        ],
        "size": [
            FormField("plan", "cards", "套餐", "standard", choices=plans, width="full"),
            FormField(
                "image",
                "select",
                "操作系统",
                "debian",
                choices=(Choice("debian", "Debian 12（已加固）"),),
            ),
            FormField(
                "disk",
                "integer",
                "系统盘",
                "ten",
                unit="GiB",
                width="quarter",
                errors=["系统盘须为 20 至 500 的整数"],
            ),
            FormField("months", "integer", "使用期限", 12, unit="个月", width="quarter"),
            FormField(
                "volumes",
                "rows",
                "数据盘",
                required=False,
                max_rows=4,
                add_label="增加数据盘",
                hint="最多 4 块",
                rows=[volume_row(0, 200, []), volume_row(1, -1, ["容量须大于 0"])],
                blank_row=volume_row("__index__", 100, []),
            ),
            FormField(
                "key",
                "ssh_key",
                "登录公钥",
                "",
                width="full",
                placeholder="ssh-ed25519 AAAA…",
                hint="粘贴公钥全文，不要粘贴私钥",
            ),
            FormField("backup", "checkbox", "每日备份", True, width="full"),
        ],
    }
    steps = [
        Thing(name="申请", mark="done", note="11-20 09:12 李敏"),
        Thing(name="审批", mark="done", note="11-23 15:40 两家同意"),
        Thing(name="准入", mark="done", note="11-23 15:40 已占用"),
        Thing(name="交付", mark="now", note="进行中 · 第 3 步，共 5 步"),
        Thing(name="计量", mark="later", note="自交付起"),
    ]
    job_steps = [
        Thing(name="准备部门网络与安全组", state="ok", offset_seconds=0, seconds=0.4),
        Thing(name="创建数据盘 200 GiB", state="ok", offset_seconds=0.4, seconds=1.1),
        Thing(name="创建主机 低保核对系统-01", state="running", offset_seconds=1.5, seconds=4.8),
        Thing(name="挂载数据盘", state="waiting", offset_seconds=0, seconds=None),
        Thing(name="验证 SSH 登录并登记主机密钥", state="waiting", offset_seconds=0, seconds=None),
    ]
    log_lines = [
        Thing(
            number=1,
            parts=[
                ("log-time", "15:40:07 "),
                ("log-head", "TASK [vm : data volume] "),
                ("log-changed", "changed"),
                ("", " volume-7c1e 200 GiB"),
            ],
        ),
        Thing(
            number=2,
            parts=[
                ("log-time", "15:40:08 "),
                ("log-head", "TASK [vm : server] "),
                ("", "creating m1.standard on pool 外网-一区"),
            ],
        ),
        Thing(
            number=3,
            parts=[
                ("log-time", "15:40:13 "),
                ("", "server 3f2a… "),
                ("log-ok", "BUILD"),
                ("", " → waiting for ACTIVE"),
            ],
        ),
        Thing(
            number=4, parts=[("log-bad", "fatal: [localhost]: FAILED! => no valid host was found")]
        ),
    ]
    history = [
        Thing(tone="blue", what="开始开通", at=now, who="系统", note="", said=""),
        Thing(
            tone="green",
            what="市经信委 同意",
            at=now - timedelta(hours=3),
            who="王磊",
            note="用时 1 天 / 限 5 天",
            said="与既有系统无重复建设，同意。",
        ),
        Thing(
            tone="amber",
            what="市电政信息办 退回补正",
            at=now - timedelta(days=2),
            who="张静",
            note="",
            said="请补充等保备案号。",
        ),
        Thing(
            tone="green",
            what="提交，已预占配额",
            at=now - timedelta(days=400),
            who="李敏",
            note="",
            said="",
        ),
    ]
    days = [f"11-{day:02d}" for day in range(1, 25)]
    chart = {
        "kind": "bars",
        "unit": "元" if False else "¥",
        "labels": days,
        "series": [
            {"name": "云主机", "values": [7000 + 40 * n for n in range(24)]},
            {"name": "存储", "values": [2500 + 30 * (n % 9) for n in range(24)]},
            {"name": "数据库", "values": [2300 + 90 * n for n in range(24)]},
        ],
        "links": ["/" for _ in days],
    }
    line = {
        "kind": "lines",
        "step": True,
        "unit": "核",
        "labels": days,
        "limits": [{"name": "配额 40", "value": 40, "tone": "bad"}],
        "top": 50,
        "series": [{"name": "已占用", "values": [12 + n // 3 * 2 for n in range(24)]}],
    }
    return {
        "states": STATES,
        "fields": fields,
        "steps": steps,
        "job_steps": job_steps,
        "log_lines": log_lines,
        "history": history,
        "chart": chart,
        "line": line,
        "moment": now - timedelta(minutes=3),
        "faults": [
            ("f-disk", "系统盘须为 20 至 500 的整数"),
            ("f-volumes-1-size_gib", "数据盘第 2 块：容量须大于 0"),
        ],
        "departments": [
            ("市人社局", 27, 412, 1208 * 1024, 18_600, 48_310_200_000, 4.1),
            ("市民政局", 12, 25, 57 * 1024, 1075, 5_128_660_000, 12.0),
            ("崂山区", 31, 220, 880 * 1024, 22_630, 31_040_880_000, -2.3),
        ],
    }


if __name__ == "__main__":
    create_gallery_app().run(host="127.0.0.1", port=8797)
