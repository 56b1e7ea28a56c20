"""A service's expressions: from a filled form to a spec, a capacity vector and a name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from controlplane.catalogue.expressions import ExpressionError
from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.services import Service
from controlplane.config import CHECKOUT

DRILL = load_catalogue(CHECKOUT / "tests" / "services")["drill"]
FORM = {"system_name": " 低保核对 ", "plan": "large", "volumes": [{"size_gib": 7, "type": "ssd"}]}


def with_capacity(**expressions: str | int) -> Service:
    return dataclasses.replace(DRILL, capacity_expressions=expressions)


def test_defaults_and_the_plan_are_filled_in() -> None:
    spec = DRILL.spec_of(FORM)
    assert spec["disk_gib"] == 40
    assert spec["plan"] == {"code": "large", "vcpu": 4, "memory_mib": 16384}
    assert DRILL.spec_of({})["volumes"] == []


@pytest.mark.parametrize("plan", ["none", 7, None, [], {}, ["small"]])
def test_a_plan_that_is_none_stays_as_it_was_typed(plan: Any) -> None:
    """It is a fault of the form, and nothing to stumble over before that is said."""
    assert DRILL.spec_of({"plan": plan})["plan"] == plan


def test_the_form_of_a_spec_gives_the_spec_again() -> None:
    spec = DRILL.spec_of(FORM)
    assert DRILL.spec_of(DRILL.form_of(spec)) == spec
    assert DRILL.form_of(spec)["plan"] == "large"


def test_the_capacity_of_a_spec_leaves_out_what_it_does_not_take() -> None:
    assert DRILL.capacity_of(DRILL.spec_of({**FORM, "volumes": []})) == {
        "vcpu": 4,
        "memory_mib": 16384,
        "storage_gib.standard": 40,
    }
    assert DRILL.capacity_of(DRILL.spec_of(FORM))["storage_gib.ssd"] == 7


def test_the_name_is_text_even_where_it_reads_as_a_number() -> None:
    assert DRILL.resource_name_of({"system_name": "0042"}) == "0042"
    assert DRILL.resource_name_of({"system_name": "  "}) == DRILL.name["zh"]
    assert len(DRILL.resource_name_of({"system_name": "长" * 300})) == 120
    assert DRILL.resource_name_of({"system_name": "{{ 1 + 1 }}"}) == "{{ 1 + 1 }}"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("{{ spec.nothing }}", "has no attribute 'nothing'"),
        ("{{ spec.disk_gib / 0 }}", "division by zero"),
        ("{{ spec.disk_gib", "unexpected end of template"),
        ("{{ spec.disk_gib * 1.5 }}", "60.0 is not a whole number of 0 or more"),
        ("{{ -spec.disk_gib }}", "-40 is not a whole number of 0 or more"),
        ("{{ true }}", "True is not a whole number of 0 or more"),
        ("many", "'many' is not a whole number of 0 or more"),
        ("{{ spec | nofilter }}", "No filter named 'nofilter'"),
        ("{{ spec.system_name + 1 }}", "can only concatenate str"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_says_why(expression: str, says: str) -> None:
    spec = DRILL.spec_of(FORM)
    with pytest.raises(ExpressionError) as refused:
        with_capacity(vcpu=expression).capacity_of(spec)
    assert says in str(refused.value)
    assert "vcpu" in str(refused.value) or expression in str(refused.value)


def test_a_number_needs_no_expression() -> None:
    assert with_capacity(vcpu=3, memory_mib=0).capacity_of({}) == {"vcpu": 3}


def test_a_change_asks_only_for_its_fields_and_requires_none() -> None:
    change = DRILL.actions["change"]
    schema = DRILL.form_schema(change)
    assert (set(schema["properties"]), schema["required"]) == ({"plan", "volumes"}, [])
    assert [g["id"] for g in DRILL.form_groups(change)] == ["size"]
    assert DRILL.form_schema(DRILL.actions["provision"])["required"] == ["system_name", "plan"]
