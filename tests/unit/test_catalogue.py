"""A service is a folder: each kind of fault in its declaration is named with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from controlplane.catalogue.forms import check_form
from controlplane.catalogue.loader import load_catalogue, needed_chains
from controlplane.config import CHECKOUT
from controlplane.errors import DeclarationInvalid

DRILL = CHECKOUT / "tests" / "services" / "drill"
TEXT = (DRILL / "service.yml").read_text(encoding="utf-8")


def add_service(services: Path, folder: str, *edits: tuple[str, str]) -> Path:
    """A copy of the drill service with pieces of its declaration exchanged."""
    made = services / folder
    shutil.copytree(DRILL, made)
    text = TEXT
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after, 1)
    (made / "service.yml").write_text(text, encoding="utf-8")
    return made


def problems_of(services: Path) -> list[str]:
    with pytest.raises(DeclarationInvalid) as refused:
        load_catalogue(services)
    return list(refused.value.problems)


def line_of(piece: str) -> int:
    return next(n for n, line in enumerate(TEXT.splitlines(), start=1) if piece in line)


def test_the_shipped_services_and_the_drill_load() -> None:
    shipped = load_catalogue(CHECKOUT / "playbooks" / "services")
    assert {"vm", "volume"} <= shipped.keys()
    drill = load_catalogue(DRILL.parent)["drill"]
    assert drill.actions["power_off"].states == ("active",)
    assert drill.actions["change"].states == ("active", "stopped")
    assert drill.playbook_path(drill.actions["retire"]).is_file()


def test_only_what_asks_somebody_names_a_chain() -> None:
    drill = load_catalogue(DRILL.parent)["drill"]
    chains = {code: action.approval_chain for code, action in drill.actions.items()}
    assert chains == {
        "provision": "joint-review",
        "change": "single-review",
        "power_off": None,
        "power_on": None,
        "rotate": None,
        "revoke_previous": None,
        "retire": None,
    }
    assert needed_chains([drill]) == {"joint-review", "single-review"}


@pytest.mark.parametrize(
    ("before", "after", "at", "says"),
    [
        ("version: 1.0.0", "version: latest", "version:", "version: 'latest' does not match"),
        ("category: ISS", "category: XSS", "category:", "category: 'XSS' is not one of"),
        ("name: {zh: 演练主机, en: Drill machine}", "name: {zh: 演练主机}", "name: {zh: 演练",
         "name: 'en' is a required property"),
        ("zones: [internet, office]", "zones: []", "zones:", "zones: [] should be non-empty"),
        ("zones: [internet, office]", "zones: [internet, moon]", "zones:",
         "zones.1: 'moon' is not one of"),
        ("max_months: 36", "max_months: 0", "lease:", "lease.max_months: 0 is less than"),
        ("default_months: 12", "default_months: 48", "lease:",
         "lease: default_months lies beyond max_months"),
        ("summary: {", "sumary: {", "# A service", "'summary' is a required property"),
        ("code: large", "code: small", "plans:", "plans: small is declared twice"),
        ("enum: [small, large]", "enum: [small, huge]", "plan: {type",
         "form.properties.plan: there is no plan huge"),
        ("type: string, minLength: 1", "type: strin, minLength: 1", "system_name: {type",
         "form.properties.system_name.type: 'strin' is not valid"),
        ("title: {zh: 镜像, en: Image}", "title: 镜像", "image: {type",
         "form.properties.image: title needs zh and en"),
        ("widget: cards", "widget: dial", "plan: {type", "form.properties.plan.x-ui: widget is"),
        ("x-ui: {widget: cards}", "x-ui: cards", "plan: {type",
         "form.properties.plan.x-ui: must be a mapping"),
        ("source: images", "source: moon", "image: {type",
         "form.properties.image.x-ui: source is one of"),
        ("fields: [system_name]", "fields: [system]", "id: purpose",
         "form.groups.0: there is no field system"),
        ("fields: [plan, image,", "fields: [plan,", "image: {type",
         "form.properties.image: stands in no group"),
        ("fields: [plan, image,", "fields: [plan, plan, image,", "groups:",
         "form.groups: field plan stands in two places"),
        ("required: [system_name, plan]", "required: [system_name, rack]",
         "required: [system_name", "form.required: there is no field rack"),
        ('vcpu: "{{ plan.vcpu }}"', 'vcpu: "{{ plan.cores }}"', 'vcpu: "',
         "capacity.vcpu: {{ plan.cores }}: "),
        ('vcpu: "{{ plan.vcpu }}"', 'cores: "{{ plan.vcpu }}"', "capacity:",
         "capacity: 'cores' does not match"),
        ('resource_name: "{{ spec.system_name }}"', 'resource_name: "{{ spec.system }}"',
         "resource_name:", "resource_name: {{ spec.system }}: "),
        ("playbook: change.yml", "playbook: chance.yml", "change: {",
         "actions.change.playbook: chance.yml is missing"),
        ("playbook: change.yml", "playbook: ../../etc/passwd", "change: {",
         "actions.change.playbook: '../../etc/passwd' does not match"),
        ("fields: [plan, volumes]", "fields: [plan, speed]", "change: {",
         "actions.change.fields: there is no field speed"),
        ("stop_with: power_off", "stop_with: halt", "retire: {",
         "actions.retire.stop_with: there is no action halt"),
        ("kind: create", "kind: operate", "provision: {", "actions.provision.kind: must be create"),
        ("kind: retire", "kind: destroy", "retire: {",
         "actions.retire.kind: 'destroy' is not one of"),
        ("states: [active]", "states: [asleep]", "power_off: {",
         "actions.power_off.states.0: 'asleep' is not one of"),
    ],
)  # fmt: skip
def test_each_kind_of_fault_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, at: str, says: str
) -> None:
    add_service(tmp_path, "drill", (before, after))
    problems = problems_of(tmp_path)
    wanted = f"drill/service.yml:{line_of(at)}: {says}"
    assert any(problem.startswith(wanted) for problem in problems), problems


SERVE = "certifies: serve, inputs: {dns_names: {type: string, title: {zh: 域名, en: Names}}}"
OPERATE = "kind: operate, states: [active], to_state: stopped"


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([(OPERATE, f"{OPERATE}, {SERVE}")], "actions.retire: certifies must be revoke"),
        ([("kind: retire,", "kind: retire, certifies: revoke,"),
          (OPERATE, f"{OPERATE}, certifies: serve")], "actions: no serve has the input dns_names"),
        ([("kind: retire,", "kind: retire, certifies: revoke,"), (OPERATE, f"{OPERATE}, {SERVE}"),
          ("kind: change,", "kind: change, certifies: unserve,")],
         "actions.change.kind: must be operate"),
        ([("kind: retire,", "kind: retire, certifies: revoke,"), (OPERATE, f"{OPERATE}, {SERVE}"),
          ("kind: operate, states: [stopped]", "kind: operate, certifies: hold")],
         "actions.power_on: hold beside serve"),
        ([(OPERATE, f"{OPERATE}, certifies: renew, engines: [machine]")],
         "actions.retire: certifies must be revoke"),
        ([("kind: retire,", "kind: retire, certifies: revoke,"),
          (OPERATE, f"{OPERATE}, certifies: renew")],
         "actions.power_off.engines: must be [machine]"),
        ([("kind: retire,", "kind: retire, certifies: revoke,"),
          (OPERATE, f"{OPERATE}, certifies: renew, engines: [machine]"),
          ("kind: change,", "kind: change, certifies: renew, engines: [machine],")],
         "actions.change.kind: must be operate"),
    ],
)  # fmt: skip
def test_what_serves_with_a_certificate_also_ends_it(
    tmp_path: Path, edits: list[tuple[str, str]], says: str
) -> None:
    add_service(tmp_path, "drill", *edits)
    assert any(problem.endswith(says) for problem in problems_of(tmp_path)), problems_of(tmp_path)


@pytest.mark.parametrize(
    ("action", "outputs", "absent", "offered"),
    [
        ("serve_https", {}, (), True),
        ("serve_https", {}, ("authority",), False),
        ("serve_https", {"https": {"dns_names": "a"}}, (), False),
        ("renew", {}, (), False),
        ("renew", {"https": {"dns_names": "a"}}, (), True),
        ("renew", {"https": {"dns_names": "a"}}, ("authority",), False),
        ("stop_https", {"https": {"dns_names": "a"}}, ("authority",), True),
        ("retire", {}, ("authority",), True),
    ],
)
def test_an_action_is_offered_where_it_has_something_to_do(
    action: str, outputs: dict[str, object], absent: tuple[str, ...], offered: bool
) -> None:
    service = load_catalogue(CHECKOUT / "playbooks" / "services", absent)["webapp"]
    assert service.offers(service.actions[action], {}, outputs) is offered


def test_a_file_that_is_no_yaml_or_no_mapping_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "service.yml").write_text("service: [x\n", encoding="utf-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "service.yml").write_text("- service\n", encoding="utf-8")
    (tmp_path / "c").mkdir()
    problems = problems_of(tmp_path)
    assert [p.split(":")[0] for p in problems] == [f"{x}/service.yml" for x in "abc"]
    assert "is not of type 'object'" in problems[1]
    assert problems[2] == "c/service.yml: the file is missing"


def test_the_faults_of_every_folder_are_named_at_once(tmp_path: Path) -> None:
    add_service(
        tmp_path, "one", ("category: ISS", "category: X"), ("engine: openstack", "engine: y")
    )
    add_service(tmp_path, "two", ("service: drill", "service: two"), ("create}", "retire}"))
    add_service(tmp_path, "three")
    folders = [problem.split("/")[0] for problem in problems_of(tmp_path)]
    assert folders == ["one", "one", "two"]


def test_a_service_is_declared_once(tmp_path: Path) -> None:
    add_service(tmp_path, "one")
    add_service(tmp_path, "two")
    assert problems_of(tmp_path) == ["two/service.yml:2: service: drill is declared twice"]


def test_a_services_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "nowhere") == ["nowhere: the folder is missing"]


def test_a_third_service_is_a_folder_alone(tmp_path: Path) -> None:
    for name in ("vm", "volume"):
        shutil.copytree(CHECKOUT / "playbooks" / "services" / name, tmp_path / name)
    add_service(tmp_path, "rack", ("service: drill", "service: rack"))
    assert set(load_catalogue(tmp_path)) == {"vm", "volume", "rack"}


TWO_PLACES = (
    ("code: large,", "code: large, engine: shared,"),
    ("engine: openstack", "engine: kubernetes"),
)


def test_a_plan_may_stand_elsewhere_than_its_service(tmp_path: Path) -> None:
    add_service(tmp_path, "one", *TWO_PLACES)
    drill = load_catalogue(tmp_path)["drill"]
    assert drill.engines == ("kubernetes", "shared")
    assert drill.engine_of(drill.spec_of({"plan": "small"})) == "kubernetes"
    assert drill.engine_of(drill.spec_of({"plan": "large"})) == "shared"
    assert drill.engine_of({}) == "kubernetes", "without a plan it stands where the service does"
    assert list(drill.plans_on(["shared"])) == ["large"]


def test_what_a_deployment_has_not_is_known_and_not_offered(tmp_path: Path) -> None:
    add_service(tmp_path, "one", *TWO_PLACES)
    drill = load_catalogue(tmp_path, absent_engines=["kubernetes"])["drill"]
    assert drill.engines == ("kubernetes", "shared")
    assert drill.offered_engines == ("shared",)


def test_a_plan_on_an_unknown_engine_is_named_with_its_line(tmp_path: Path) -> None:
    add_service(tmp_path, "one", ("code: large,", "code: large, engine: vmware,"))
    (problem,) = problems_of(tmp_path)
    line = line_of("code: large")
    assert problem.startswith(f"one/service.yml:{line}: plans.1.engine: 'vmware' is not one of")


@pytest.mark.parametrize(
    "name",
    ["a", "低保", "Dibao", "1a", "a-", "-a", "kube-dns", "egov-x", "default", "a.b", "a" * 31],
)
def test_a_namespace_that_kubernetes_would_refuse_is_refused_in_the_form(name: str) -> None:
    service = load_catalogue(CHECKOUT / "playbooks" / "services")["namespace"]
    schema = service.form_schema(service.actions["provision"])
    form = {"system_name": "低保", "plan": "small", "namespace_name": "dibao-2"}
    assert check_form(schema, form) == []
    faults = check_form(schema, {**form, "namespace_name": name})
    assert {fault.field for fault in faults} == {"namespace_name"}


@pytest.mark.parametrize(
    ("service", "field", "name"),
    [
        *(("mariadb", "database_name", n) for n in ("mysql", "sys", "information_schema")),
        *(("mariadb", "database_name", n) for n in ("低保", "d" * 24, "x'; --", "a%", "Dibao")),
        *(("redis", "key_prefix", n) for n in ("default", "admin", "a*", "a:", "d" * 24)),
        *(("rabbitmq", "vhost_name", n) for n in ("guest", "amq", "a/b", "低保", "d" * 24)),
    ],
)
def test_a_name_that_a_shared_server_may_not_have_is_refused(
    service: str, field: str, name: str
) -> None:
    declared = load_catalogue(CHECKOUT / "playbooks" / "services")[service]
    schema = declared.form_schema(declared.actions["provision"])["properties"][field]
    assert list(Draft202012Validator(schema).iter_errors(name))
    assert not list(Draft202012Validator(schema).iter_errors("dibao_2"))
