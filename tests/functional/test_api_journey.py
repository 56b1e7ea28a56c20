"""The way of one request over HTTP, as programs of each office would go it."""

from __future__ import annotations

import pytest

from tests.factories import City
from tests.functional.api_fixtures import BODY, FORM, Api, make_api


@pytest.fixture
def api(city: City) -> Api:
    return make_api(city)


def test_a_request_goes_from_form_to_bill(api: Api) -> None:
    preview = api.post("limin", "/request-previews", BODY).json
    assert (preview["faults"], preview["shortages"], preview["pool"]) == ([], [], "internet-a")
    assert preview["monthly_micro_yuan"] == 730 * (35_000 + 2 * 14_000 + 40 * 390)
    assert [s["office"]["en"] for s in preview["steps"]] == [
        "E-Government Office",
        "Economy and IT Commission",
    ]
    made = api.submit()
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/v1/requests/{made.json['id']}"
    request_id = made.json["id"]
    waiting = api.get("zhangjing", "/approvals/pending").json["items"]
    assert [w["request"]["number"] for w in waiting] == ["SQ-2026-000001"]
    assert api.decide("zhangjing", request_id).json["outcome"] == "next_step"
    decided = api.decide("wanglei", request_id, opinion="同意").json
    assert (decided["outcome"], decided["request"]["state"]) == ("approved", "delivering")
    assert api.get("zhangjing", "/approvals/pending").json["total"] == 0
    assert api.get("zhangjing", "/approvals/decided").json["total"] == 1
    api.city.deliver()
    story = api.get("limin", f"/requests/{request_id}").json
    assert story["state"] == "fulfilled"
    assert [j["state"] for j in story["jobs"]] == ["succeeded"]
    assert story["resource"]["number"] == "R-2026-000001"
    assert [s["opinion"] for s in story["steps"]] == ["", "同意"]
    api.city.clock.advance(hours=1)
    month = api.get("sunli", "/months/2026-11").json
    assert month["total_micro_yuan"] == 35_000 + 2 * 14_000 + 40 * 390
    assert (month["starts_at"], month["is_running"]) == ("2026-10-31T16:00:00Z", True)
    department = month["departments"][0]["department"]["id"]
    detail = api.get("sunli", f"/months/2026-11/departments/{department}").json
    lines = detail["resources"][0]["lines"]
    assert sum(line["total_micro_yuan"] for line in lines) == month["total_micro_yuan"]
    csv = api.get("sunli", "/months/2026-11.csv")
    assert csv.content_type == "text/csv; charset=utf-8"
    assert "SQ-2026-000001" in csv.text
    assert "attachment" in csv.headers["Content-Disposition"]


def test_the_same_key_makes_one_request(api: Api) -> None:
    first, again = api.submit(key="order-0001"), api.submit(key="order-0001")
    assert (again.status_code, again.json) == (201, first.json)
    assert api.get("limin", "/requests").json["total"] == 1
    other = api.submit(key="order-0001", form={**FORM, "disk_gib": 80})
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert api.get("limin", "/requests").json["total"] == 1


def test_a_key_is_needed(api: Api) -> None:
    for key, code in (("", "field_required"), ("short", "field_pattern")):
        refused = api.post("limin", "/requests", BODY, headers={"Idempotency-Key": key})
        assert refused.status_code == 422
        assert [(e["field"], e["code"]) for e in refused.json["errors"]] == [
            ("Idempotency-Key", code)
        ]


def test_returned_and_made_good_it_keeps_its_number(api: Api) -> None:
    made = api.submit().json
    without_reason = api.decide("zhangjing", made["id"], "return")
    assert without_reason.json["errors"][0]["field"] == "opinion"
    assert api.decide("zhangjing", made["id"], "return", "请缩小").json["outcome"] == "returned"
    bad = api.post("limin", f"/requests/{made['id']}/resubmission", {"form": {"disk_gib": 1}})
    assert {e["field"] for e in bad.json["errors"]} == {
        "form.disk_gib",
        "form.system_name",
        "form.plan",
    }
    form = {**FORM, "disk_gib": 20}
    again = api.post("limin", f"/requests/{made['id']}/resubmission", {"form": form})
    assert (again.status_code, again.json["state"]) == (200, "in_approval")
    assert again.json["number"] == made["number"]
    assert {s["round"] for s in again.json["steps"]} == {1, 2}
    twice = api.post("limin", f"/requests/{made['id']}/resubmission", {"form": form})
    assert (twice.status_code, twice.json["code"]) == (409, "state_conflict")


def test_withdrawn_is_withdrawn(api: Api) -> None:
    made = api.submit().json
    withdrawal = f"/requests/{made['id']}/withdrawal"
    gone = api.post("limin", withdrawal, {"reason": "计划有变\n下月再报"}).json
    assert (gone["state"], gone["reason"]) == ("withdrawn", "计划有变\n下月再报")
    step = made["steps"][0]["id"]
    late = api.post(
        "zhangjing", f"/requests/{made['id']}/decisions", {"step_id": step, "decision": "agree"}
    )
    assert late.status_code == 409
    assert api.post("limin", withdrawal).status_code == 409


def test_beyond_the_quota_the_figures_are_in_the_answer(api: Api) -> None:
    form = {**FORM, "plan": "large", "volumes": [{"size_gib": 9000, "type": "ssd"}]}
    preview = api.post("limin", "/request-previews", {**BODY, "form": form}).json
    assert [s["code"] for s in preview["shortages"]] == ["quota_short"]
    refused = api.submit(form=form)
    assert (refused.status_code, refused.json["code"]) == (409, "admission_refused")
    (fault,) = refused.json["errors"]
    assert fault["params"] == {
        "department": {"zh": "市民政局", "en": "Civil Affairs Bureau"},
        "dimension": "storage_gib.ssd",
        "asked": 9000,
        "free": 1024,
        "capacity": 1024,
    }


def test_a_change_is_a_request(api: Api) -> None:
    resource = api.delivered()
    change = {"action": "change", "resource_id": resource, "zone": ""}
    nothing = api.submit(**change, form={"plan": "small"})
    assert nothing.json["errors"][0]["code"] == "nothing_changes"
    made = api.submit(**change, form={"plan": "large"})
    assert made.status_code == 201
    assert made.json["capacity"]["vcpu"] == 4
    # one office decides a change; the other has no part in it and does not see it
    assert api.get("wanglei", f"/requests/{made.json['id']}").status_code == 404
    assert api.decide("zhangjing", made.json["id"]).json["outcome"] == "approved"
    api.city.deliver()
    assert api.get("limin", f"/resources/{resource}").json["capacity"]["vcpu"] == 4


def test_what_a_body_asks_for_must_exist(api: Api) -> None:
    def faults(**changes: object) -> list[tuple[str, str]]:
        answer = api.submit(**changes)
        assert answer.status_code == 422
        return [(e["field"], e["code"]) for e in answer.json["errors"]]

    assert faults(service="moon") == [("service", "field_choice")]
    assert faults(action="power_off") == [("action", "field_choice")]
    assert faults(action="change") == [("resource_id", "field_required")]
    assert faults(zone="") == [("zone", "field_required")]
    assert faults(zone="classified") == [("zone", "zone_not_offered")]
    assert faults(resource_id=str(api.city.department_id("city")).zfill(32)) == [
        ("resource_id", "field_unknown")
    ]


def test_operating_and_retiring(api: Api) -> None:
    resource = api.delivered()
    here = f"/resources/{resource}"
    off = api.post("limin", f"{here}/actions/power_off")
    assert (off.status_code, off.json["action"]) == (202, "power_off")
    assert off.headers["Location"] == f"/api/v1{here}"
    busy = api.post("limin", f"{here}/actions/power_off")
    assert (busy.status_code, busy.json["code"]) == (409, "resource_busy")
    api.city.deliver()
    assert api.get("limin", here).json["state"] == "stopped"
    wrong = api.post("limin", f"{here}/actions/power_on", {"form": {"speed": 9}})
    assert [(e["field"], e["code"]) for e in wrong.json["errors"]] == [
        ("form.speed", "field_unknown")
    ]
    assert api.post("limin", f"{here}/actions/fly").status_code == 404

    mistyped = api.post("limin", f"{here}/retirement", {"name": "别的"})
    assert [(e["field"], e["code"]) for e in mistyped.json["errors"]] == [
        ("name", "confirmation_differs")
    ]
    retiring = api.post("limin", f"{here}/retirement", {"name": FORM["system_name"]})
    assert (retiring.status_code, retiring.json["state"]) == (202, "retiring")
    assert retiring.json["retire_at"] == "2026-12-01T01:30:00Z"
    assert api.call("limin", "DELETE", f"{here}/retirement").json["retire_at"] is None
    api.city.deliver()
    gone = api.post("chengang", f"{here}/destruction", {"name": FORM["system_name"]})
    assert (gone.status_code, gone.json["state"]) == (202, "destroying")
    api.city.deliver()
    assert api.get("limin", here).json["state"] == "retired"
    assert api.get("limin", "/resources").json["total"] == 0
    assert api.get("limin", "/resources?state=retired").json["total"] == 1


def test_jobs_their_log_cancel_and_retry(api: Api) -> None:
    resource = api.delivered()
    api.post("limin", f"/resources/{resource}/actions/power_off")
    job = api.get("chengang", "/jobs?state=queued").json["items"][0]
    here = f"/jobs/{job['id']}"
    log = api.get("chengang", f"{here}/log")
    assert (log.status_code, log.text, log.content_type) == (200, "", "text/plain; charset=utf-8")
    assert api.post("chengang", f"{here}/cancellation").json["cancel_asked"] is True
    api.city.deliver()
    assert api.get("chengang", here).json["state"] == "cancelled"
    folder = api.city.control_plane.settings.jobs_dir / job["number"] / "artifacts" / "1"
    folder.mkdir(parents=True)
    (folder / "stdout").write_bytes("TASK [开机]\n".encode() * 20_000 + b"ok \xff\n")
    tail = api.get("chengang", f"{here}/log?attempt=1&tail_kib=1").text
    assert tail.startswith("TASK [开机]\n")
    assert tail.endswith("ok \ufffd\n")
    assert len(tail.encode()) <= 1026
    assert api.get("chengang", "/jobs/999999").status_code == 404
    # nothing is left to do again: the machine still runs, whoever wants it off asks anew
    assert api.post("chengang", f"{here}/retry").status_code == 409


def test_a_failed_destruction_is_retried(api: Api) -> None:
    resource = api.delivered()
    api.post("chengang", f"/resources/{resource}/destruction", {"name": FORM["system_name"]})
    api.city.fail_jobs("cloud is away")
    failed = api.get("chengang", "/jobs?state=failed").json["items"]
    assert len(failed) == 1
    again = api.post("chengang", f"/jobs/{failed[0]['id']}/retry")
    assert (again.status_code, again.json["state"]) == (202, "queued")
    assert api.post("chengang", f"/jobs/{failed[0]['id']}/retry").status_code == 409


def test_lists_come_in_pages_with_links(api: Api) -> None:
    for _ in range(40):
        api.city.submit(disk_gib=10)
    for _ in range(11):
        api.city.submit("zhaoguodong", disk_gib=10)
    first = api.get("zhouwei", "/requests?zone=internet")
    assert (len(first.json["items"]), first.json["pages"], first.json["total"]) == (50, 2, 51)
    links = first.headers["Link"]
    assert '<http://localhost/api/v1/requests?zone=internet&page=2>; rel="next"' in links
    assert 'rel="prev"' not in links
    last = api.get("zhouwei", "/requests?zone=internet&page=99")
    assert (len(last.json["items"]), last.json["page"]) == (1, 2)
    assert api.get("limin", "/requests?mine=true&open_only=true&text=SQ-2026").json["total"] == 40
    assert api.get("limin", "/requests?state=fulfilled").json["total"] == 0


def test_me_and_the_catalogue(api: Api) -> None:
    me = api.get("limin", "/me").json
    assert (me["name"], me["department"]["code"]) == ("李敏", "civil-affairs")
    assert "request.create" in me["may"]
    assert "request.decide" not in me["may"]
    service = api.get("limin", "/services/drill").json
    assert service["choices"]["internet"]["image"] == [{"value": "lab-tiny", "label": "Tiny"}]
    forms = {a["code"]: a["form"] for a in service["actions"]}
    assert forms["provision"]["required"] == ["system_name", "plan"]
    assert set(forms["change"]["properties"]) == {"plan", "volumes"}
    # choices name the department's own resources: only its applicants get them
    assert api.get("sunli", "/services/drill").json["choices"] == {}
    assert api.get("limin", "/services/moon").status_code == 404


def test_pools_prices_and_administration(api: Api) -> None:
    pools = api.get("chengang", "/pools").json["items"]
    assert [p["code"] for p in pools][:2] == ["internet-a", "internet-b"]
    assert {b["dimension"]: b["free"] for b in pools[0]["bounds"]}["vcpu"] == 800
    prices = {p["item"]: p for p in api.get("sunli", "/prices").json["items"]}
    assert prices["memory_mib"]["price_micro_yuan_per_hour"] == 14_000
    assert prices["memory_mib"]["starts_at"] == "2025-12-31T16:00:00Z"
    assert api.get("admin", "/departments").json["items"][0]["code"] == "city"
    people = api.get("admin", "/people").json["items"]
    assert "password" not in str(people)
    api.submit()
    events = api.get("zhouwei", "/audit-events?event=request_submitted").json["items"]
    assert [e["object_id"] for e in events] == ["SQ-2026-000001"]
