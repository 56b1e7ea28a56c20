"""What text that a person typed may hold, wherever it goes: a cloud, a bill, a log, a database."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def holds_control_characters(text: str, *, lines: bool = False) -> bool:
    """Whether there are control characters in it, or halves of a character; `lines` allows line
    breaks and tabs."""
    return (_CONTROL_BUT_LINES if lines else _CONTROL).search(text) is not None


def without_control_characters(text: str, *, lines: bool = False) -> str:
    """The text with a blank in the place of each."""
    return (_CONTROL_BUT_LINES if lines else _CONTROL).sub(" ", text)
