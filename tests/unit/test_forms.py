"""A filled form against its declaration: every fault at once, in codes that have words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.catalogue.forms import check_form, from_html
from controlplane.messages import MESSAGES, text_of_fault

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 10},
        "purpose": {"type": "string", "x-ui": {"widget": "textarea"}},
        "plan": {"type": "string", "enum": ["small", "large"]},
        "image": {"type": "string"},
        "key": {"type": "string", "pattern": "^ssh-"},
        "disk_gib": {"type": "integer", "minimum": 10, "maximum": 100, "multipleOf": 10},
        "backup": {"type": "boolean"},
        "volumes": {
            "type": "array",
            "maxItems": 2,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["size_gib", "type"],
                "properties": {
                    "size_gib": {"type": "integer", "minimum": 1, "maximum": 16384},
                    "type": {"type": "string", "enum": ["standard", "ssd"]},
                },
            },
        },
    },
    "required": ["name", "plan"],
    "additionalProperties": False,
}
GOOD = {"name": "核对系统", "plan": "small"}


def faults(form: Any, **choices: list[str]) -> list[tuple[str, str]]:
    return [(f.field, f.code) for f in check_form(SCHEMA, form, choices)]


def test_a_good_form_has_no_fault() -> None:
    assert faults({**GOOD, "volumes": [{"size_gib": 1, "type": "ssd"}], "backup": True}) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "x" * 11}, ("name", "field_too_long")),
        ({"name": "系"}, ("name", "field_too_short")),
        ({"name": ""}, ("name", "field_required")),
        ({"name": 5}, ("name", "field_not_text")),
        ({"name": None}, ("name", "field_not_text")),
        ({"name": "a\nb"}, ("name", "field_control_characters")),
        ({"name": "a\u2028b"}, ("name", "field_control_characters")),
        ({"name": "a\x00b"}, ("name", "field_control_characters")),
        ({"purpose": "two\nlines\x07"}, ("purpose", "field_control_characters")),
        ({"plan": "huge"}, ("plan", "field_choice")),
        ({"plan": []}, ("plan", "field_not_text")),
        ({"plan": {}}, ("plan", "field_not_text")),
        ({"key": "rsa"}, ("key", "field_pattern")),
        ({"disk_gib": "ten"}, ("disk_gib", "field_not_integer")),
        ({"disk_gib": 10.5}, ("disk_gib", "field_not_integer")),
        ({"disk_gib": True}, ("disk_gib", "field_not_integer")),
        ({"disk_gib": 0}, ("disk_gib", "field_too_small")),
        ({"disk_gib": -10}, ("disk_gib", "field_too_small")),
        ({"disk_gib": 10**9}, ("disk_gib", "field_too_large")),
        ({"disk_gib": 11}, ("disk_gib", "field_not_multiple")),
        ({"backup": "yes"}, ("backup", "field_type")),
        ({"volumes": "one"}, ("volumes", "field_type")),
        ({"volumes": [7]}, ("volumes.0", "field_type")),
        ({"volumes": [{"size_gib": 1}]}, ("volumes.0.type", "field_required")),
        ({"volumes": [{"size_gib": 1, "type": "ssd"}] * 3}, ("volumes", "field_too_many")),
        ({"volumes": [{"size_gib": 1, "type": "ssd", "raid": 5}]},
         ("volumes.0.raid", "field_unknown")),
        ({"rack": 1}, ("rack", "field_unknown")),
    ],
)  # fmt: skip
def test_each_kind_of_fault(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in faults({**GOOD, **changes})
    assert {field for field, _ in faults({**GOOD, **changes})} == {fault[0]}


@pytest.mark.parametrize("form", [None, [], "name=x", 7])
def test_what_is_no_form_at_all(form: Any) -> None:
    assert faults(form) == [("", "field_type")]


def test_names_may_hold_quotes_and_emoji_and_purposes_lines() -> None:
    assert faults({**GOOD, "name": "\"'<b>🏛️", "purpose": "一\n二\t三\r\n"}) == []


def test_every_fault_is_named_once_in_the_form_s_order() -> None:
    form = {"plan": "huge", "disk_gib": 5, "volumes": [{"type": "tape"}, {}], "x": 1, "y": 2}
    assert faults(form) == [
        ("name", "field_required"),
        ("plan", "field_choice"),
        ("disk_gib", "field_too_small"),
        ("disk_gib", "field_not_multiple"),
        ("volumes.0.size_gib", "field_required"),
        ("volumes.0.type", "field_choice"),
        ("volumes.1.size_gib", "field_required"),
        ("volumes.1.type", "field_required"),
        ("x", "field_unknown"),
        ("y", "field_unknown"),
    ]


def test_a_live_choice_is_one_of_those_offered_now() -> None:
    assert faults({**GOOD, "image": "debian"}, image=["debian"]) == []
    assert faults({**GOOD, "image": "windows"}, image=["debian"]) == [("image", "field_choice")]
    assert faults({**GOOD, "image": "debian"}, image=[]) == [("image", "field_choice")]
    assert faults(GOOD, image=["debian"]) == [], "left out is another matter than wrong"
    assert faults({**GOOD, "image": {"a": 1}}, image=["debian"]) == [("image", "field_not_text")]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "{x}", "a.b"]), ANYTHING))
def test_whatever_is_sent_is_answered_with_faults_that_have_words(form: dict[str, Any]) -> None:
    for fault in check_form(SCHEMA, form, {"image": ["debian"]}):
        assert fault.code in MESSAGES
        assert text_of_fault(fault, "zh")
        assert text_of_fault(fault, "en")


# --- HTML forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ([("name", "  核对 ")], {"name": "核对"}),
        ([("name", "   ")], {}),
        ([("disk_gib", "40")], {"disk_gib": 40}),
        ([("disk_gib", " -1 ")], {"disk_gib": -1}),
        ([("disk_gib", "ten")], {"disk_gib": "ten"}),
        ([("disk_gib", "1e9")], {"disk_gib": "1e9"}),
        ([("disk_gib", "٤٠")], {"disk_gib": "٤٠"}),
        ([("disk_gib", "9" * 400)], {"disk_gib": "9" * 400}),
        ([("purpose", "a\r\nb")], {"purpose": "a\nb"}),
        ([("unknown", "1")], {"unknown": "1"}),
        ([("backup", "on")], {"backup": True}),
        ([("backup", "off")], {"backup": False}),
        (
            [("volumes.1.size_gib", "20"), ("volumes.1.type", "ssd"), ("volumes.0.size_gib", "5")],
            {"volumes": [{"size_gib": 5}, {"size_gib": 20, "type": "ssd"}]},
        ),
        ([("volumes.0.type", "ssd"), ("volumes.0.size_gib", "")], {"volumes": []}),
        ([("volumes.7.size_gib", "5")], {"volumes": [{"size_gib": 5}]}),
        ([("volumes.x.size_gib", "5"), ("volumes.99999.size_gib", "5")], {}),
    ],
)
def test_what_an_html_form_carries(fields: list[tuple[str, str]], form: dict[str, Any]) -> None:
    assert from_html(SCHEMA, fields) == {"backup": False, **form}


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20))))
def test_no_post_breaks_the_reading(fields: list[tuple[str, str]]) -> None:
    check_form(SCHEMA, from_html(SCHEMA, fields))
