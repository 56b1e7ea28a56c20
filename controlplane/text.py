"""What text that a person typed may hold, wherever it goes: a cloud, a bill, a log, a database."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_TEMPLATE = re.compile("{{|{%|{#")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def holds_control_characters(text: str, *, lines: bool = False) -> bool:
    """Whether there are control characters in it, or halves of a character; `lines` allows line
    breaks and tabs."""
    return (_CONTROL_BUT_LINES if lines else _CONTROL).search(text) is not None


def without_control_characters(text: str, *, lines: bool = False) -> str:
    """The text with a blank in the place of each."""
    return (_CONTROL_BUT_LINES if lines else _CONTROL).sub(" ", text)


def as_ansible_data(value: Any) -> Any:
    """Variables in JSON for Ansible, with every text in them marked that it would take for a
    template, and run: what a person has typed stays what it is."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value} if _TEMPLATE.search(value) else value
    if isinstance(value, dict):
        return {key: as_ansible_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_ansible_data(each) for each in value]
    return value
