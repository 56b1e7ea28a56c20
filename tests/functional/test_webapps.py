"""Web applications without a cluster: uploads, versions, the database they use, their logs."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from controlplane.app import create_app
from controlplane.approval.rules import Decision
from controlplane.errors import Forbidden, InvalidInput, NotFound
from controlplane.pipeline import Ask
from controlplane.reports import requests as request_reports
from tests.functional.api_fixtures import make_api
from tests.functional.hall import Hall, archive, open_hall, with_pods
from tests.functional.test_ui_pages import lint, sign_in


@pytest.fixture
def hall(tmp_path: Path, sample_url: str) -> Iterator[Hall]:
    made = open_hall(tmp_path, sample_url, upload_max_mib=1, upload_department_max_mib=2)
    yield made
    made.city.control_plane.db.dispose()


@pytest.fixture
def app(hall: Hall) -> Flask:
    return create_app(hall.city.control_plane)


# --- uploads ------------------------------------------------------------------------------------


def test_an_upload_is_kept_once_by_its_content(hall: Hall) -> None:
    first = hall.upload(archive())
    assert hall.upload(archive(), "zhaoguodong") == first
    assert hall.kept() == [first]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no archive", "upload_not_archive"),
        (archive(name="../x"), "upload_outside"),
        (b"\x1f\x8b" + b"0" * 2**20, "upload_too_large"),
    ],
)
def test_a_refused_upload_leaves_nothing(hall: Hall, content: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        hall.upload(content)
    assert [fault.code for fault in refused.value.faults] == [code]
    assert hall.kept() == []


def test_a_department_s_uploads_are_bounded(hall: Hall) -> None:
    def incompressible() -> bytes:
        return archive(os.urandom(400_000).hex())

    for _ in range(4):
        hall.upload(incompressible())
    with pytest.raises(InvalidInput) as refused:
        hall.upload(incompressible())
    assert [fault.code for fault in refused.value.faults] == ["upload_department_full"]
    assert len(hall.kept()) == 4


def test_what_nobody_has_named_for_long_is_deleted(hall: Hall) -> None:
    first = hall.upload(archive("<p>first"))
    application = hall.application(archive=first)
    second = hall.upload(archive("<p>second"))
    hall.change(application, "deploy", archive=second)
    shared = archive("<p>of two departments")
    both = hall.upload(shared)
    assert hall.upload(shared, "zhaoguodong") == both
    returned = hall.upload(archive("<p>returned"))
    asked = {"system_name": "低保", "plan": "small", "archive": returned}
    pipeline, limin = hall.city.control_plane.pipeline, hall.city.person("limin")
    request_id = pipeline.submit_request(limin, Ask("webapp", "provision", "internet", asked))
    hall.city.decide("zhangjing", request_id, Decision.RETURN, "请补充材料")
    uploads, clock = hall.city.control_plane.uploads, hall.city.clock

    clock.advance(days=29)
    assert uploads.delete_unused() == 0
    assert hall.upload(shared) == both  # once more, and so it counts from today
    clock.advance(days=2)
    assert uploads.delete_unused() == 1, "the other department's"
    assert set(hall.kept()) == {first, second, both, returned}, "one file, one still has it"
    clock.advance(days=30)
    assert uploads.delete_unused() == 1
    assert set(hall.kept()) == {first, second, returned}, "in use, left behind, asked for"

    pipeline.withdraw_request(limin, request_id, "不再需要")
    operations = hall.city.control_plane.operations
    operations.retire_now(hall.city.person("chengang"), application, "低保")
    hall.carry_out()
    assert uploads.delete_unused() == 3
    assert (hall.kept(), uploads.delete_unused()) == ([], 0)


def test_what_a_killed_process_had_begun_to_take_in_goes(hall: Hall) -> None:
    uploads = hall.city.control_plane.uploads
    hall.upload(archive())
    old, new = (uploads.store.folder / f".new-{name}" for name in ("old", "new"))
    for draft in (old, new):
        draft.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    uploads.delete_unused()
    assert (old.exists(), new.exists()) == (False, True)


def test_only_an_applicant_uploads_and_for_their_own(hall: Hall) -> None:
    uploads = hall.city.control_plane.uploads
    with pytest.raises(Forbidden):
        uploads.receive(hall.city.person("sunli"), None, "a.zip", io.BytesIO(archive()))
    other = hall.city.department_id("human-resources")
    with pytest.raises(Forbidden):
        uploads.receive(hall.city.person("limin"), other, "a.zip", io.BytesIO(archive()))
    assert hall.kept() == []


def test_another_department_s_upload_is_no_choice(hall: Hall) -> None:
    theirs = hall.upload(archive(), "zhaoguodong")
    with pytest.raises(InvalidInput) as refused:
        hall.application(archive=theirs)
    assert [(f.code, f.field) for f in refused.value.faults] == [("field_choice", "archive")]


def test_the_api_takes_an_archive_and_names_what_is_wrong(hall: Hall) -> None:
    api = make_api(hall.city)
    made = api.call("limin", "POST", "/uploads?filename=app.tar.gz", data=archive())
    assert made.status_code == 201
    assert hall.kept() == [made.json["sha256"]]
    assert (made.json["format"], made.json["members"]) == ("tar.gz", 1)
    bad = api.call("limin", "POST", "/uploads?filename=a.zip", data=archive(name="/etc/x"))
    assert (bad.status_code, bad.json["errors"][0]["code"]) == (422, "upload_outside")
    large = api.call("limin", "POST", "/uploads?filename=a.zip", data=b"0" * (3 * 2**20))
    assert (large.status_code, large.json["code"]) == (413, "request_too_large")


# --- an application's life ----------------------------------------------------------------------


def test_a_run_is_given_the_archive_and_holds_what_its_copies_take(hall: Hall) -> None:
    sha256 = hall.upload(archive(name="site/index.html"))
    resource_id = hall.application(archive=sha256, replicas=3)
    given = hall.runs[-1].extravars["upload"]
    assert Path(given["path"]).read_bytes() == archive(name="site/index.html")
    assert (given["sha256"], given["root"], given["format"]) == (sha256, "site", "tar.gz")
    assert "database" not in hall.runs[-1].extravars
    assert hall.resource(resource_id).capacity == {"vcpu": 3, "memory_mib": 768}


def test_an_archive_that_is_lost_is_told_in_words(hall: Hall) -> None:
    sha256 = hall.upload(archive())
    hall.city.control_plane.uploads.store.remove(sha256)
    with pytest.raises(AssertionError):
        hall.application(archive=sha256)
    assert hall.runs[-1].refusal is not None
    assert "is not in the store of uploads" in hall.runs[-1].refusal.reason


def test_versions_are_deployed_at_once_and_rolled_back(hall: Hall) -> None:
    first = hall.upload(archive())
    resource_id = hall.application(archive=first)
    assert hall.prepared(resource_id, "roll_back").choices["archive"] == []
    second = hall.upload(archive("<p>2"))
    assert hall.change(resource_id, "deploy", archive=second) == ["deploy"]
    assert hall.resource(resource_id).spec["archive"] == second
    never_deployed = hall.upload(archive("<p>3"))
    offered = hall.prepared(resource_id, "roll_back").choices["archive"]
    assert [choice.value for choice in offered] == [first]
    with pytest.raises(InvalidInput):
        hall.change(resource_id, "roll_back", archive=never_deployed)
    assert hall.change(resource_id, "roll_back", archive=first) == ["roll_back"]
    assert hall.runs[-1].extravars["upload"]["sha256"] == first


def test_a_version_that_is_never_ready_goes_back(hall: Hall) -> None:
    first = hall.upload(archive())
    resource_id = hall.application(archive=first)
    plane, limin = hall.city.control_plane, hall.city.person("limin")
    broken = hall.upload(archive("broken"))
    asked = Ask("webapp", "deploy", "internet", {"archive": broken}, resource_id=resource_id)
    request_id = plane.pipeline.submit_request(limin, asked)
    run = plane.delivery.claim("test:1")
    assert run is not None
    plane.delivery.fail(run, "/ 返回 500 · / answers 500", final=True)
    assert hall.carry_out() == ["deploy"]
    undoing = hall.runs[-1].extravars
    assert (undoing["is_undoing"], undoing["upload"]["sha256"]) == (True, first)
    assert hall.resource(resource_id).spec["archive"] == first
    with plane.db.read() as session:
        request = request_reports.find_request(session, limin, request_id)
        assert (request.state, "answers 500" in request.reason) == ("failed", True)


# --- its database -------------------------------------------------------------------------------


def test_an_application_is_given_its_database_and_follows_its_password(hall: Hall) -> None:
    database = hall.ask("postgresql", plan="small", database_name="dibao")
    resource_id = hall.application(database=database)
    given = hall.runs[-1].extravars["database"]
    assert (given["engine"], given["outputs"]["username"]) == ("shared", "dibao_a")
    before = given["secrets"]["password"]
    operations, limin = hall.city.control_plane.operations, hall.city.person("limin")
    operations.operate_resource(limin, database, "rotate_password", {})
    assert hall.carry_out() == ["rotate_password", "renew_database"]
    after = hall.runs[-1].extravars["database"]["secrets"]["password"]
    assert after != before
    assert hall.runs[-1].extravars["spec"]["archive"] == hall.resource(resource_id).spec["archive"]
    assert hall.resource(resource_id).state == "active"


def test_a_change_and_a_rotation_at_once_lose_neither(hall: Hall) -> None:
    database = hall.ask("postgresql", plan="small", database_name="dibao")
    resource_id = hall.application(database=database)
    plane, limin = hall.city.control_plane, hall.city.person("limin")
    newer = hall.upload(archive("<p>2"))
    plane.operations.operate_resource(limin, database, "rotate_password", {})
    asked = Ask("webapp", "deploy", "internet", {"archive": newer}, resource_id=resource_id)
    plane.pipeline.submit_request(limin, asked)
    assert hall.carry_out() == ["rotate_password", "deploy", "renew_database"]
    assert hall.runs[-1].extravars["spec"]["archive"] == newer
    assert hall.resource(resource_id).spec["archive"] == newer


def test_a_database_in_use_cannot_go(hall: Hall) -> None:
    database = hall.ask("postgresql", plan="small", database_name="dibao")
    resource_id = hall.application(database=database)
    operations, limin = hall.city.control_plane.operations, hall.city.person("limin")
    with pytest.raises(InvalidInput) as refused:
        operations.retire_resource(limin, database, "低保")
    assert [fault.code for fault in refused.value.faults] == ["has_dependents"]
    hall.change(resource_id, "configure", database="")
    assert hall.resource(resource_id).parent_id is None
    operations.retire_resource(limin, database, "低保")


def test_another_department_s_database_is_no_choice(hall: Hall) -> None:
    theirs = hall.ask("postgresql", "zhaoguodong", plan="small", database_name="renshi")
    with pytest.raises(InvalidInput) as refused:
        hall.application(database=theirs)
    assert [(f.code, f.field) for f in refused.value.faults] == [("field_choice", "database")]


# --- pages --------------------------------------------------------------------------------------


def order(sent: bytes, **more: str) -> dict[str, Any]:
    return {
        "system_name": "低保",
        "plan": "small",
        "zone": "internet",
        "_check": "1",
        "archive.file": (io.BytesIO(sent), "app.tar.gz"),
        **more,
    }


def test_a_form_takes_the_archive_along(app: Flask, hall: Hall) -> None:
    clerk = sign_in(app, "limin")
    form = clerk.get("/catalogue/webapp/apply")
    assert lint(form.text) == []
    assert 'type="file"' in form.text
    check = clerk.post("/catalogue/webapp/provision/ask", **order(archive()))
    assert check.status_code == 200
    assert lint(check.text) == []
    (sha256,) = hall.kept()
    assert f'name="archive" value="{sha256}"' in check.text


def test_whatever_is_wrong_is_named_at_once_and_nothing_typed_is_lost(
    app: Flask, hall: Hall
) -> None:
    clerk = sign_in(app, "limin")
    clerk.get("/catalogue/webapp/apply")
    refused = clerk.post(
        "/catalogue/webapp/provision/ask",
        **order(archive(name="../x"), replicas="99", health_path="?"),
    )
    assert refused.status_code == 422
    assert lint(refused.text) == []
    for said in ("“../x”指向压缩包以外的位置", "不能大于 10", "格式不符合要求"):
        assert said in refused.text
    assert 'value="低保"' in refused.text
    assert hall.kept() == []


def test_a_good_archive_is_kept_when_another_field_is_wrong(app: Flask, hall: Hall) -> None:
    clerk = sign_in(app, "limin")
    clerk.get("/catalogue/webapp/apply")
    sent = order(archive(), replicas="99")
    refused = clerk.post("/catalogue/webapp/provision/ask", **sent)
    (sha256,) = hall.kept()
    assert re.search(rf'<option value="{sha256}" selected', refused.text)


def test_two_gigabytes_are_refused_unread(app: Flask, hall: Hall) -> None:
    clerk = sign_in(app, "limin")
    clerk.get("/catalogue/webapp/apply")
    answer = clerk.client.post(
        "/catalogue/webapp/provision/ask",
        content_type="multipart/form-data; boundary=x",
        input_stream=io.BytesIO(b"--x"),
        environ_overrides={"CONTENT_LENGTH": str(2**31)},
    )
    assert answer.status_code == 413
    assert hall.kept() == []


def test_changes_have_their_forms(app: Flask, hall: Hall) -> None:
    resource_id = hall.application()
    clerk = sign_in(app, "limin")
    for action in ("deploy", "roll_back", "scale", "configure"):
        page = clerk.get(f"/resources/{resource_id}/change/{action}")
        assert lint(page.text) == [], action
        assert ('type="file"' in page.text) is (action == "deploy"), action


def test_logs_are_shown_to_those_who_may(hall: Hall) -> None:
    pods = with_pods(hall.city)
    app = create_app(hall.city.control_plane)
    resource_id = hall.application()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}/logs"
    assert path in clerk.get(f"/resources/{resource_id}").text
    page = clerk.get(path)
    assert lint(page.text) == []
    assert "GET / 200 &lt;script&gt;" in page.text
    assert "重启 2 次" in page.text
    assert sign_in(app, "zhaoguodong").get(path).status_code == 404
    assert sign_in(app, "sunli").get(path).status_code == 403
    told = make_api(hall.city).get("limin", path)
    assert told.json["logs"][0]["restarts"] == 2
    pods.is_silent = True
    page = clerk.get(path)
    assert (page.status_code, "云平台暂时没有响应" in page.text) == (200, True)
    with pytest.raises(NotFound):
        hall.city.control_plane.logs.read(hall.city.person("zhaoguodong"), resource_id)
