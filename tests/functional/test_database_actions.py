"""Actions with fields of their own: accounts beside the main one, extensions, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from controlplane.app import create_app
from controlplane.audit import AuditEvent
from controlplane.credentials.models import Credential
from controlplane.drivers.shared import SharedServices
from controlplane.errors import CloudRefused, InvalidInput, NotFound, StateConflict
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.worker import Worker
from tests.functional.api_fixtures import make_api
from tests.functional.depot import Depot, open_depot
from tests.functional.test_ui_pages import lint, sign_in

READER = {"account": "report", "rights": "read"}


@pytest.fixture
def app(depot: Depot) -> Flask:
    return create_app(depot.control_plane)


def sealed(depot: Depot, resource_id: str) -> dict[str, str]:
    """State by name of every secret of the resource that is kept."""
    with depot.control_plane.db.read() as session:
        rows = session.scalars(sa.select(Credential).where(Credential.resource_id == resource_id))
        return {row.name: row.state for row in rows}


def faults(depot: Depot, resource_id: str, action: str, **form: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refusal:
        depot.operate(resource_id, action, **form)
    return [(fault.field, fault.code) for fault in refusal.value.faults]


def test_an_account_has_a_secret_of_its_own_that_is_shown_once(depot: Depot) -> None:
    resource_id = depot.database()
    connections, limin = depot.control_plane.connections, depot.city.person("limin")
    main = connections.show(limin, resource_id).secrets["password"]
    run = depot.operate(resource_id, "add_account", **READER)
    secret = run.extravars["secrets"]["account"]
    assert run.extravars["secrets"]["password"] == main
    assert sealed(depot, resource_id) == {"password": "current", "account.report": "current"}
    assert secret not in json.dumps(depot.resource(resource_id).outputs)
    assert "account" not in depot.resource(resource_id).spec, "it is told to the run and not kept"

    shown = connections.show(limin, resource_id, account="report")
    texts = {snippet.code: text for snippet, text in shown.snippets}
    assert shown.secrets == {"password": secret}
    assert f"dibao_report:{secret}@" in texts["uri"]
    with pytest.raises(InvalidInput, match="reason_required"):
        connections.show(limin, resource_id, account="report")
    assert connections.show(limin, resource_id, "核对").secrets == {"password": main}
    with pytest.raises(NotFound):
        connections.show(limin, resource_id, "核对", account="nobody")
    with depot.control_plane.db.read() as session:
        looks = session.scalars(
            sa.select(AuditEvent.data).where(AuditEvent.event == "connection_shown")
        )
        assert [look.get("account") for look in looks] == [None, "report", None]


def test_no_other_run_is_told_an_account_s_secret(depot: Depot) -> None:
    resource_id = depot.database()
    depot.operate(resource_id, "add_account", **READER)
    run = depot.operate(resource_id, "rotate_password")
    assert set(run.extravars["secrets"]) == {"password"}
    assert sealed(depot, resource_id)["account.report"] == "current"


def test_a_new_password_is_shown_again_once_and_a_removed_account_is_forgotten(
    depot: Depot,
) -> None:
    resource_id = depot.database()
    connections, limin = depot.control_plane.connections, depot.city.person("limin")
    depot.operate(resource_id, "add_account", **READER)
    old = connections.show(limin, resource_id, account="report").secrets["password"]
    depot.operate(resource_id, "account_password", account_there="report")
    new = connections.show(limin, resource_id, account="report").secrets["password"]
    assert new != old
    depot.operate(resource_id, "remove_account", account_there="report")
    assert sealed(depot, resource_id) == {"password": "current"}
    assert depot.resource(resource_id).outputs["accounts"] == []


def test_an_account_that_could_not_be_made_leaves_no_secret(depot: Depot) -> None:
    resource_id = depot.database()
    person = depot.city.person("limin")
    depot.control_plane.operations.operate_resource(person, resource_id, "add_account", READER)
    assert sealed(depot, resource_id)["account.report"] == "next"
    depot.fail_all("the name is taken on this server")
    assert sealed(depot, resource_id) == {"password": "current"}
    assert "accounts" not in depot.resource(resource_id).outputs
    (job,) = depot.jobs("add_account")
    engineer, operations = depot.city.person("chengang"), depot.control_plane.operations
    with pytest.raises(StateConflict):  # its secret is gone: it is asked for anew
        operations.retry_job(engineer, job.id)
    with depot.control_plane.db.transaction() as session:
        session.get_one(Resource, resource_id).state = "changing"
    operations.retry_job(engineer, job.id)
    assert depot.carry_out() == []
    assert "ask again" in depot.jobs("add_account")[0].error, "and stops no other job"


def test_every_fault_is_named_and_nothing_begins(depot: Depot) -> None:
    resource_id = depot.database()
    runs = len(depot.runs)
    assert faults(depot, resource_id, "add_account", account="A'; --", rights="all") == [
        ("account", "field_pattern"),
        ("rights", "field_choice"),
    ]
    for name in ("drill", "restoring", "readers", "a", "x" * 21, "报表", "1a"):
        assert {
            f for f, _ in faults(depot, resource_id, "add_account", account=name, rights="read")
        } == {"account"}
    assert faults(depot, resource_id, "add_account") == [
        ("account", "field_required"),
        ("rights", "field_required"),
    ]
    assert faults(depot, resource_id, "remove_account", account_there="x") == [
        ("account_there", "field_choice")
    ]
    assert faults(depot, resource_id, "add_extension", extension="plpython3u") == [
        ("extension", "field_choice")
    ]
    wanted = {"statement_timeout_s": -1, "lock_timeout_s": 3601, "work_mem_mib": "much"}
    assert faults(depot, resource_id, "set_parameters", **wanted, shared_buffers="1GB") == [
        ("statement_timeout_s", "field_too_small"),
        ("lock_timeout_s", "field_too_large"),
        ("idle_in_transaction_timeout_s", "field_required"),
        ("work_mem_mib", "field_not_integer"),
        ("isolation", "field_required"),
        ("time_zone", "field_required"),
        ("shared_buffers", "field_unknown"),
    ]
    assert len(depot.runs) == runs
    depot.operate(resource_id, "add_account", **READER)
    assert faults(depot, resource_id, "add_account", **READER) == [("account", "account_taken")]


def test_there_is_an_end_to_accounts(depot: Depot) -> None:
    resource_id = depot.database()
    with depot.control_plane.db.transaction() as session:
        resource = session.get_one(Resource, resource_id)
        many = [{"name": f"a{n}", "username": f"a{n}", "rights": "read"} for n in range(20)]
        resource.outputs = {**resource.outputs, "accounts": many}
    assert faults(depot, resource_id, "add_account", **READER) == [("account", "too_many_accounts")]


def test_the_page_leads_to_accounts_and_settings(app: Flask, depot: Depot) -> None:
    resource_id = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}"
    page = clerk.get(path).text
    assert lint(page) == []
    assert "只有主账号" in page
    asked = clerk.get(f"{path}/actions/add_account").text
    assert lint(asked) == []
    assert "账号名" in asked
    refused = clerk.post(f"{path}/actions/add_account", account="B", rights="read")
    assert refused.status_code == 422
    assert "格式不符合要求" in refused.text
    assert clerk.post(f"{path}/actions/add_account", **READER).status_code == 302
    depot.carry_out()
    page = clerk.get(path).text
    assert lint(page) == []
    assert "dibao_report" in page
    shown = clerk.post(f"{path}/connection?account=report")
    assert "dibao_report" in shown.text
    assert clerk.get(f"{path}/connection?account=nobody").status_code == 404
    chosen = clerk.get(f"{path}/actions/remove_account?account_there=report").text
    assert '<option value="report" selected' in chosen


def test_settings_are_shown_and_prefilled(app: Flask, depot: Depot) -> None:
    resource_id = depot.database()
    clerk, path = sign_in(app, "limin"), f"/resources/{resource_id}"
    form = {
        "statement_timeout_s": "90",
        "lock_timeout_s": "0",
        "idle_in_transaction_timeout_s": "0",
        "work_mem_mib": "16",
        "isolation": "serializable",
        "time_zone": "Asia/Shanghai",
    }
    assert clerk.post(f"{path}/actions/set_parameters", **form).status_code == 302
    depot.carry_out()
    page = clerk.get(path).text
    assert lint(page) == []
    assert "可串行化" in page
    assert "90 秒" in page
    asked = clerk.get(f"{path}/actions/set_parameters").text
    assert 'value="90"' in asked


@pytest.fixture
def clustered(tmp_path: Path, sample_url: str) -> Iterator[Depot]:
    """Servers of departments' own are offered too."""
    made = open_depot(tmp_path, sample_url, kubeconfig=tmp_path / "kubeconfig")
    yield made
    made.control_plane.db.dispose()


def test_a_mariadb_is_set_as_far_as_its_server_is_its_own(clustered: Depot) -> None:
    depot, clerk = clustered, sign_in(create_app(clustered.control_plane), "limin")
    own = depot.database(service="mariadb", plan="own_small")
    shared = depot.database(service="mariadb")
    path = f"/resources/{own}"
    asked = clerk.get(f"{path}/actions/set_parameters").text
    assert lint(asked) == []
    for before in ('value="50"', '<option value="0" selected', '<option value="UTC" selected'):
        assert before in asked, "what the server has by itself"
    form = {
        "statement_timeout_s": "90",
        "lock_timeout_s": "7",
        "idle_transaction_timeout_s": "300",
        "sort_memory_mib": "8",
        "isolation": "read committed",
        "time_zone": "Asia/Shanghai",
    }
    assert clerk.post(f"{path}/actions/set_parameters", **form).status_code == 302
    depot.carry_out()
    page = clerk.get(path).text
    assert lint(page) == []
    for words in ("90 秒", "5 分钟", "读已提交", "北京时间"):
        assert page.count(words) == 1
    assert "调整语句时限" not in page
    asked = clerk.get(f"{path}/actions/set_parameters").text
    for now in ('value="7"', '<option value="300" selected', '<option value="Asia/Shanghai" selec'):
        assert now in asked

    assert clerk.post(f"/resources/{shared}/actions/set_parameters", **form).status_code == 404
    assert depot.carry_out() == []
    limit = f"/resources/{shared}/actions/set_statement_limit"
    assert clerk.post(limit, statement_timeout_s="60").status_code == 302
    depot.carry_out()
    page = clerk.get(f"/resources/{shared}").text
    assert lint(page) == []
    assert page.count("60 秒") == 1
    assert "调整参数" not in page


def test_every_fault_of_a_mariadb_s_settings_and_accounts_is_named(clustered: Depot) -> None:
    own = clustered.database(service="mariadb", plan="own_small")
    wanted = {
        "statement_timeout_s": 86401,
        "lock_timeout_s": 0,
        "idle_transaction_timeout_s": 1,
        "sort_memory_mib": "much",
        "isolation": "none",
        "max_connections": 9000,
    }
    assert faults(clustered, own, "set_parameters", **wanted) == [
        ("statement_timeout_s", "field_too_large"),
        ("lock_timeout_s", "field_too_small"),
        ("idle_transaction_timeout_s", "field_choice"),
        ("sort_memory_mib", "field_not_integer"),
        ("isolation", "field_choice"),
        ("time_zone", "field_required"),
        ("max_connections", "field_unknown"),
    ]
    for name in ("drill", "dump", "loader", "restoring", "exchange", "cloning"):
        refused = faults(clustered, own, "add_account", account=name, rights="read")
        assert refused == [("account", "field_pattern")], "the platform's own are called so"


def test_the_api_adds_an_account_and_shows_its_connection(depot: Depot) -> None:
    resource_id = depot.database()
    api = make_api(depot.city)
    at = f"/resources/{resource_id}"
    added = api.post("limin", f"{at}/actions/add_account", {"form": READER})
    assert added.status_code == 202
    depot.carry_out()
    shown = api.post("limin", f"{at}/connection", {"account": "report"})
    assert "dibao_report" in shown.json["snippets"][0]["text"]
    wrong = api.post("limin", f"{at}/actions/add_account", {"form": {"account": "X"}})
    assert wrong.status_code == 422


def test_a_clone_is_ordered_like_its_source_and_told_where_that_is(
    app: Flask, depot: Depot
) -> None:
    source_id = depot.database()
    number = depot.resource(source_id).number
    clerk = sign_in(app, "limin")
    assert f"clone_of={source_id}" in clerk.get(f"/resources/{source_id}").text
    form = clerk.get(f"/catalogue/postgresql/apply?clone_of={source_id}").text
    assert lint(form) == []
    assert f'<option value="{number}" selected' in form
    stranger = sign_in(app, "zhaoguodong")
    at = f"/catalogue/postgresql/apply?clone_of={source_id}"
    assert stranger.get(at).status_code == 404

    clone_id = depot.database(clone_of=number, system_name="低保副本")
    run = next(r for r in depot.runs if r.extravars["resource_id"] == clone_id)
    assert run.extravars["source"]["resource_id"] == source_id
    assert run.extravars["source"]["outputs"]["database"] == "dibao"
    assert run.timeout_seconds == 240 * 60, "it takes as long as the data are big"
    changed = depot.operate(clone_id, "rotate_password")
    assert "source" not in changed.extravars


def test_what_cannot_be_cloned_is_named(depot: Depot) -> None:
    source_id = depot.database()
    backup = depot.backed_up(source_id)
    number = depot.resource(source_id).number
    form = {"system_name": "低保", "plan": "small", "database_name": "dibao"}

    def codes(login: str, **more: str) -> list[tuple[str, str]]:
        asked = Ask("postgresql", "provision", "internet", {**form, **more})
        person = depot.city.person(login)
        found = depot.control_plane.pipeline.prepare(person, asked).faults
        return [(fault.field, fault.code) for fault in found]

    assert codes("limin", clone_of=number) == []
    assert codes("zhaoguodong", clone_of=number) == [("clone_of", "field_choice")]
    both = {"clone_of": number, "restore_from": backup}
    assert codes("limin", **both) == [("clone_of", "clone_or_restore")]


def test_in_the_cluster_only_what_runs_is_offered_to_be_cloned(depot: Depot) -> None:
    """A shared one is copied though it is suspended; a suspended server does not run."""
    shared, own = depot.database(), depot.database()
    with depot.control_plane.db.transaction() as session:
        row = session.get_one(Resource, own)
        row.spec = {**row.spec, "plan": {**row.spec["plan"], "engine": "kubernetes"}}

    def offered() -> list[str]:
        person = depot.city.person("limin")
        form = {"system_name": "低保", "plan": "small", "database_name": "dibao"}
        asked = Ask("postgresql", "provision", "internet", form)
        prepared = depot.control_plane.pipeline.prepare(person, asked)
        return [choice.value for choice in prepared.choices["clone_of"]]

    numbers = [depot.resource(each).number for each in (shared, own)]
    assert offered() == numbers
    with depot.control_plane.db.transaction() as session:
        for each in (shared, own):
            session.get_one(Resource, each).state = ResourceState.STOPPED
    assert offered() == numbers[:1]


def test_a_shared_one_is_cloned_to_a_server_of_its_own_with_the_way_into_the_shared(
    tmp_path: Path, sample_url: str
) -> None:
    depot = open_depot(tmp_path, sample_url, kubeconfig=tmp_path / "kubeconfig")
    source_id = depot.database()
    copy_id = depot.database(plan="own_small", clone_of=depot.resource(source_id).number)
    run = next(r for r in depot.runs if r.extravars.get("resource_id") == copy_id)
    assert (run.cloud, run.extravars["source"]["cloud"]) == ("kubernetes", "shared")
    inventory = tmp_path / "inventory.yml"
    hosts = {
        f"shared_{e}": {"service_address": e, "ansible_host": "x"} for e in ("redis", "mariadb")
    }
    inventory.write_text(json.dumps({"all": {"children": {"s": {"hosts": hosts}}}}))
    settings = depot.control_plane.settings
    worker = Worker(depot.control_plane.delivery, settings, {"shared": SharedServices(inventory)})
    with pytest.raises(CloudRefused, match="no host shared_postgresql"):
        worker.with_source(run.extravars)
    of_mariadb = {"source": {"cloud": "shared", "service": "mariadb"}}
    assert worker.with_source(of_mariadb)["source"]["server"] == {"service_address": "mariadb"}
    assert worker.with_source({"action": "change"}) == {"action": "change"}
    with pytest.raises(CloudRefused):
        worker.with_source({"source": {"cloud": "lab", "service": "mariadb"}})
    depot.control_plane.db.dispose()


def test_a_source_that_has_gone_meanwhile_ends_the_order(depot: Depot) -> None:
    source_id = depot.database()
    asked = Ask(
        "postgresql",
        "provision",
        "internet",
        {
            "system_name": "低保",
            "plan": "small",
            "database_name": "fuben",
            "clone_of": depot.resource(source_id).number,
        },
    )
    request_id = depot.control_plane.pipeline.submit_request(depot.city.person("limin"), asked)
    depot.control_plane.operations.retire_now(depot.city.person("chengang"), source_id, "低保")
    depot.carry_out()
    depot.city.decide("zhangjing", request_id)
    depot.carry_out()
    (job,) = [j for j in depot.jobs("provision") if j.state == "failed"]
    assert "which was to be cloned, is retired" in job.error
