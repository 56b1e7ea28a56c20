"""The description of the API is valid, complete and true: who believes it is not surprised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from controlplane.config import CHECKOUT
from controlplane.policy import Role
from controlplane.tenancy.models import Office, Person, RoleGrant
from tests.factories import City, make_city
from tests.functional.api_fixtures import FORM, Api, make_api

EXAMPLES = 4  # of each operation and mode: a short run; the seed is fixed


@pytest.fixture
def api(city: City) -> Api:
    made = make_api(city)
    plenty = "1000000 per minute"
    made.app.config.update(API_READS=plenty, API_CHANGES=plenty, API_STRANGERS=plenty)
    return made


def described(api: Api) -> dict[str, Any]:
    return dict(api.get("", "/openapi.json").json)


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def test_it_is_valid_openapi_3_1(api: Api) -> None:
    document = described(api)
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_described(api: Api) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in api.app.url_map.iter_rules()
        if rule.endpoint.startswith("api_") and not rule.endpoint.startswith("api_description")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    found = operations(described(api))
    assert len(found) == len(routes)
    assert len({o["operationId"] for o in found.values()}) == len(routes)
    for name, operation in found.items():
        assert operation["summary"], name
        problem = operation["responses"]["default"]
        assert problem == {"$ref": "#/components/responses/DEFAULT_ERROR"}, name


def test_the_guide_names_every_route(api: Api) -> None:
    guide = (CHECKOUT / "docs" / "api.md").read_text()
    missing = [
        name
        for name in operations(described(api))
        if f"`{name.replace('/api/v1', '')}`" not in guide
    ]
    assert missing == []


def test_the_guides_order_is_a_good_one(tmp_path: Path) -> None:
    guide = (CHECKOUT / "docs" / "api.md").read_text()
    order = json.loads(guide.partition("<<'JSON'\n")[2].partition("\nJSON\n")[0])
    order["form"]["ssh_public_key"] = "ssh-ed25519 " + "A" * 68 + " limin"
    api = make_api(make_city(tmp_path, services=CHECKOUT / "playbooks" / "services"))
    preview = api.post("limin", "/request-previews", order).json
    assert (preview["faults"], preview["shortages"]) == ([], [])
    api.city.control_plane.db.dispose()


def test_it_is_not_sent_twice(api: Api) -> None:
    tag = api.get("", "/openapi.json").headers["ETag"]
    assert api.get("", "/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def everybody(api: Api) -> dict[str, str]:
    """The headers of one person with every role and office, so that calls get far."""
    with api.city.control_plane.db.transaction() as session:
        person = session.scalars(sa.select(Person).where(Person.login == "limin")).one()
        session.add_all(RoleGrant(person_id=person.id, role=role) for role in Role)
        for office in session.scalars(sa.select(Office)):
            session.add(RoleGrant(person_id=person.id, role=Role.APPROVER, office_id=office.id))
    return api.bearer("limin")


@pytest.mark.strict_database
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_fuzzer_finds_no_fault(api: Api, mode: GenerationMode) -> None:
    """Every check but one: what fits the description may still ask for what is not declared (a
    service, a form), and is then refused."""
    api.delivered()
    api.submit()
    headers = everybody(api)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", api.app)
    faults = {}
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def calls(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        try:
            calls()
        except FailureGroup as error:
            faults[operation.label] = str(error)[:2000]
    assert faults == {}


@pytest.mark.parametrize(
    "form",
    [
        {"plan": []},
        {"plan": {}},
        {"plan": None},
        {"plan": True},
        {"system_name": ["a"]},
        {"image": ["lab-tiny"]},
        {"image": {}},
        {"volumes": 5},
        {"volumes": [None]},
        {"volumes": {"0": {}}},
        {"volumes": [{"size_gib": [], "type": {}}]},
        {"disk_gib": True},
        {"disk_gib": 1.5},
        {"disk_gib": 2**53 - 1},
        {"lease_months": {}},
        {"__class__": "x"},
    ],
    ids=str,
)
def test_a_form_of_the_wrong_types_is_refused(api: Api, form: dict[str, Any]) -> None:
    refused = api.submit(form={**FORM, **form})
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_input")
    assert {e["field"].split(".")[1] for e in refused.json["errors"]} == set(form)
    assert (
        api.post(
            "limin", "/request-previews", {"service": "drill", "zone": "internet", "form": form}
        ).status_code
        == 200
    )
