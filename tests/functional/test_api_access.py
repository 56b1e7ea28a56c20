"""Who may call what: every route of the API stands here, or a test fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from controlplane.certificates.models import Certificate
from controlplane.upgrades.models import Campaign
from controlplane.upgrades.rules import CampaignState
from tests.factories import City
from tests.functional.api_fixtures import BODY, Api, make_api

PEOPLE = {
    "applicant": "limin",
    "approver": "zhangjing",
    "engineer": "chengang",
    "finance": "sunli",
    "supervisor": "zhouwei",
    "administrator": "admin",
}
ALL = set(PEOPLE)


@dataclass(frozen=True)
class Route:
    """Roles that may call a route, an example address and body, and what a stranger from another
    department gets at another's thing (0: the address names no thing). A value of the body that is
    a name of `things` stands for that thing."""

    roles: set[str]
    address: str
    stranger: int = 0
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


APPLICANT, OPERATORS = {"applicant"}, {"applicant", "engineer"}
REQUEST_READERS = ALL - {"administrator"}
RESOURCE_READERS = ALL - {"administrator", "approver"}
BACKUP_READERS = {"applicant", "engineer", "supervisor"}
JOB_READERS = {"engineer", "supervisor"}
MONTH_READERS = {"applicant", "finance", "supervisor"}
CHANGE = {**BODY, "action": "change", "resource_id": "resource", "form": {"plan": "large"}}
KEY = {"Idempotency-Key": "access-test"}
UPGRADE = {"service": "drill", "from_version": "0.9.0", "to_version": "1.0.0"}
TYPED = {"name": "no such name"}

#: "METHOD rule" -> who may; what ends a thing stands last.
ROUTES: dict[str, Route] = {
    "GET /me": Route(ALL, "/me"),
    "GET /services": Route(ALL, "/services"),
    "GET /services/<code>": Route(ALL, "/services/drill"),
    "POST /request-previews": Route(APPLICANT, "/request-previews", 404, CHANGE),
    "POST /requests": Route(APPLICANT, "/requests", 404, CHANGE, KEY),
    "GET /requests": Route(REQUEST_READERS, "/requests"),
    "GET /requests/<id:request_id>": Route(REQUEST_READERS, "/requests/{request}", 404),
    "POST /requests/<id:request_id>/resubmission": Route(
        APPLICANT, "/requests/{request}/resubmission", 404, {"form": {}}
    ),
    "POST /requests/<id:request_id>/decisions": Route(
        {"approver"},
        "/requests/{request}/decisions",
        403,
        {"step_id": "step", "decision": "refuse"},
    ),
    "GET /approvals/pending": Route({"approver"}, "/approvals/pending", 403),
    "GET /approvals/decided": Route({"approver"}, "/approvals/decided", 403),
    "GET /resources": Route(RESOURCE_READERS, "/resources"),
    "GET /resources/<uuid:resource_id>": Route(RESOURCE_READERS, "/resources/{resource}", 404),
    "POST /uploads": Route(APPLICANT, "/uploads?filename=a.zip&department_id={department}", 403),
    "GET /resources/<uuid:resource_id>/logs": Route(OPERATORS, "/resources/{resource}/logs", 404),
    "GET /resources/<uuid:resource_id>/backups": Route(
        BACKUP_READERS, "/resources/{resource}/backups", 404
    ),
    "GET /resources/<uuid:resource_id>/drills": Route(
        BACKUP_READERS, "/resources/{resource}/drills", 404
    ),
    "POST /resources/<uuid:resource_id>/backups": Route(
        OPERATORS, "/resources/{resource}/backups", 404, {}
    ),
    "POST /resources/<uuid:resource_id>/backup-schedule": Route(
        OPERATORS,
        "/resources/{resource}/backup-schedule",
        404,
        {"daily_at": "03:00", "keep_days": 7},
    ),
    "POST /resources/<uuid:resource_id>/backups/<number>/restoration": Route(
        APPLICANT, "/resources/{resource}/backups/B-20261124-0001/restoration", 404, TYPED
    ),
    "POST /resources/<uuid:resource_id>/exchange": Route(
        APPLICANT, "/resources/{resource}/exchange", 404, {"other_id": "resource", **TYPED}
    ),
    "POST /resources/<uuid:resource_id>/drills": Route(
        {"engineer"}, "/resources/{resource}/drills", 403, {}
    ),
    "GET /certificates": Route(BACKUP_READERS, "/certificates"),
    "GET /certificates/<serial>": Route(BACKUP_READERS, "/certificates/0a1b", 404),
    "GET /jobs": Route(JOB_READERS, "/jobs", 403),
    "GET /jobs/<id:job_id>": Route(JOB_READERS, "/jobs/{job}", 403),
    "GET /jobs/<id:job_id>/log": Route(JOB_READERS, "/jobs/{job}/log", 403),
    "POST /jobs/<id:job_id>/retry": Route({"engineer"}, "/jobs/{job}/retry", 403, {}),
    "POST /jobs/<id:job_id>/cancellation": Route({"engineer"}, "/jobs/{job}/cancellation", 403, {}),
    "GET /upgrades": Route(JOB_READERS, "/upgrades", 403),
    "POST /upgrades": Route({"engineer"}, "/upgrades", 403, UPGRADE),
    "POST /upgrades/preview": Route({"engineer"}, "/upgrades/preview", 403, UPGRADE),
    "GET /upgrades/<number>": Route(JOB_READERS, "/upgrades/{upgrade}", 403),
    "POST /upgrades/<number>/stop": Route({"engineer"}, "/upgrades/{upgrade}/stop", 403, {}),
    "POST /upgrades/<number>/resumption": Route(
        {"engineer"}, "/upgrades/{upgrade}/resumption", 403, {}
    ),
    "POST /upgrades/<number>/cancellation": Route(
        {"engineer"}, "/upgrades/{upgrade}/cancellation", 403, {}
    ),
    "GET /pools": Route(ALL - {"applicant", "administrator"}, "/pools", 403),
    "GET /pools/<code>/history": Route(
        ALL - {"applicant", "administrator"}, "/pools/internet-a/history", 403
    ),
    "GET /quotas": Route(ALL, "/quotas"),
    "GET /prices": Route(ALL, "/prices"),
    "GET /months/<month:month>": Route(MONTH_READERS, "/months/2026-11"),
    "GET /months/<month:month>.csv": Route(MONTH_READERS, "/months/2026-11.csv"),
    "GET /months/<month:month>/departments/<id:department_id>": Route(
        MONTH_READERS, "/months/2026-11/departments/{department}", 404
    ),
    "GET /months/<month:month>/departments/<id:department_id>/history": Route(
        MONTH_READERS, "/months/2026-11/departments/{department}/history", 404
    ),
    "GET /departments": Route({"administrator"}, "/departments", 403),
    "GET /people": Route({"administrator"}, "/people", 403),
    "GET /audit-events": Route({"supervisor", "administrator"}, "/audit-events", 403),
    "POST /requests/<id:request_id>/withdrawal": Route(
        APPLICANT, "/requests/{request}/withdrawal", 404, {}
    ),
    "POST /resources/<uuid:resource_id>/actions/<action>": Route(
        OPERATORS, "/resources/{resource}/actions/power_off", 404, {}
    ),
    "POST /resources/<uuid:resource_id>/renewal": Route(
        APPLICANT,
        "/resources/{resource}/renewal",
        404,
        {"months": 1, "expires_at": "2027-11-24T01:30:00Z"},
    ),
    "POST /resources/<uuid:resource_id>/connection": Route(
        APPLICANT, "/resources/{resource}/connection", 404, {}
    ),
    "POST /resources/<uuid:resource_id>/protection": Route(
        OPERATORS, "/resources/{resource}/protection", 404, {}
    ),
    "POST /resources/<uuid:resource_id>/asks/<id:ask_id>/decision": Route(
        OPERATORS, "/resources/{resource}/asks/{ask}/decision", 404, {"decision": "refuse"}
    ),
    "DELETE /resources/<uuid:resource_id>/protection": Route(
        OPERATORS, "/resources/{resource}/protection", 404
    ),
    "POST /resources/<uuid:resource_id>/retirement": Route(
        OPERATORS, "/resources/{resource}/retirement", 404, TYPED
    ),
    "DELETE /resources/<uuid:resource_id>/retirement": Route(
        OPERATORS, "/resources/{resource}/retirement", 404
    ),
    "POST /resources/<uuid:resource_id>/destruction": Route(
        {"engineer"}, "/resources/{resource}/destruction", 403, TYPED
    ),
}
#: Needs no token: it says nothing that is not in the source.
OPEN = {"GET /openapi.json"}


@pytest.fixture
def api(city: City) -> Api:
    made = make_api(city)
    made.app.config.update(API_STRANGERS="1000 per minute")
    return made


def call(api: Api, who: str, key: str, names: dict[str, Any]) -> int:
    route = ROUTES[key]
    body = {k: names.get(v, v) if isinstance(v, str) else v for k, v in (route.body or {}).items()}
    return api.call(
        who,
        key.partition(" ")[0],
        route.address.format(**names),
        headers=route.headers,
        **({} if route.body is None else {"json": body}),
    ).status_code


def things(api: Api) -> dict[str, Any]:
    """A resource of civil affairs, its job, and a request of theirs that waits for approval."""
    resource = api.delivered()
    job = api.get("chengang", "/jobs").json["items"][0]["id"]
    made = api.submit().json
    protecting = api.city.control_plane.protecting
    protecting.protect_resource(api.city.person("limin"), resource)
    ask = protecting.unprotect_resource(api.city.person("limin"), resource)
    with api.city.control_plane.db.transaction() as session:
        session.add(certificate(resource, api.city.clock()))
    return {
        "ask": ask,
        "upgrade": ended_upgrade(api),
        "resource": resource,
        "job": job,
        "request": made["id"],
        "step": made["steps"][0]["id"],
        "department": api.city.department_id("civil-affairs"),
    }


def certificate(resource_id: str, now: datetime) -> Certificate:
    return Certificate(
        serial="0a1b",
        issuer="issuing-1",
        resource_id=resource_id,
        names=["www.example"],
        key_id="",
        not_before=now,
        not_after=now,
        pem="",
        state="valid",
        created_at=now,
    )


def ended_upgrade(api: Api) -> str:
    """The number of an upgrade with which nothing more can be done."""
    now = api.city.clock()
    with api.city.control_plane.db.transaction() as session:
        session.add(
            Campaign(
                number="U-20261124-0001",
                service="drill",
                from_version="0.9.0",
                to_version="1.0.0",
                state=CampaignState.CANCELLED,
                at_once=1,
                groups=[],
                started_by="陈刚",
                started_at=now,
                ended_at=now,
            )
        )
    return "U-20261124-0001"


def rules_of(api: Api) -> set[str]:
    return {
        f"{method} {rule.rule.removeprefix('/api/v1')}"
        for rule in api.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_listed_with_its_roles(api: Api) -> None:
    assert rules_of(api) == set(ROUTES) | OPEN


def test_without_a_token_every_route_is_closed(api: Api) -> None:
    names = {
        "resource": str(UUID(int=1)),
        "job": 1,
        "upgrade": "U-20261124-0001",
        "request": 1,
        "step": 1,
        "department": 1,
        "ask": 1,
    }
    answers = {key: call(api, "", key, names) for key in ROUTES}
    assert {key: code for key, code in answers.items() if code != 401} == {}
    assert api.get("", "/openapi.json").status_code == 200


@pytest.mark.any_database  # what a role may do is asked of no database
def test_each_role_may_call_what_the_table_says(api: Api) -> None:
    names = things(api)
    wrong = []
    for key, route in ROUTES.items():
        for role, who in PEOPLE.items():
            code = call(api, who, key, names)
            allowed = code not in (401, 403, 404)
            if code >= 500 or allowed != (role in route.roles):
                wrong.append((key, role, code))
    assert wrong == []


def test_what_belongs_to_another_department_is_not_there(api: Api) -> None:
    names = things(api)
    wrong = []
    for key, route in ROUTES.items():
        code = call(api, "zhaoguodong", key, names)
        if code != (route.stranger or 200):
            wrong.append((key, code))
    assert wrong == []
    for listed in ("/requests", "/resources"):
        assert api.get("zhaoguodong", listed).json["items"] == []
    quotas = api.get("zhaoguodong", "/quotas").json["items"]
    assert {q["department"]["code"] for q in quotas} == {"human-resources"}
    assert api.get("zhaoguodong", "/months/2026-11").json["departments"] == []
    assert names["resource"] not in api.get("zhaoguodong", "/months/2026-11.csv").text


def test_nothing_was_changed_by_the_strangers(api: Api) -> None:
    names = things(api)
    before = api.get("limin", f"/requests/{names['request']}").json
    for key in ROUTES:
        call(api, "zhaoguodong", key, names)
    assert api.get("limin", f"/requests/{names['request']}").json == before
    assert api.get("limin", f"/resources/{names['resource']}").json["state"] == "active"
