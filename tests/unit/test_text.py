"""What of a typed text is kept from being read as something else."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.text import as_ansible_data


def marked(text: str) -> dict[str, str]:
    return {"__ansible_unsafe": text}


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("低保核对系统", "低保核对系统"),
        ("{ } % # }} %}", "{ } % # }} %}"),
        ("{{ 1 }}", marked("{{ 1 }}")),
        ("a {% if %}", marked("a {% if %}")),
        ("{# a", marked("{# a")),
        (7, 7),
        (None, None),
        (
            {"rows": [{"value": "{{ 1 }}"}, "b"], "pair": ("{{", 2)},
            {"rows": [{"value": marked("{{ 1 }}")}, "b"], "pair": [marked("{{"), 2]},
        ),
    ],
)
def test_what_looks_like_a_template_is_marked_as_none(value: Any, given: Any) -> None:
    assert as_ansible_data(value) == given
