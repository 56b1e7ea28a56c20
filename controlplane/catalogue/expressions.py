"""Expressions of declarations: Jinja2 in a sandbox, as platform engineers know it from Ansible."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, Undefined
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment


class ExpressionError(ValueError):
    """A declared expression cannot be evaluated; the text says why, its cause is the fault."""


class _Native(SandboxedEnvironment, NativeEnvironment):
    """Values stay numbers, nothing escapes."""


_NATIVE, _TEXT = _Native(undefined=StrictUndefined), SandboxedEnvironment(undefined=StrictUndefined)
_FAULTS = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


def evaluated(expression: str, **known: Any) -> Any:
    """The value that an expression comes to. Errors: ExpressionError."""
    return _rendered(expression, True, known)


def filled(template: str, **known: Any) -> str:
    """A text with everything filled in. Errors: ExpressionError."""
    return str(_rendered(template, False, known))


def _rendered(text: str, native: bool, known: dict[str, Any]) -> Any:
    try:
        value: Any = _compiled(text, native).render(**known)
        if isinstance(value, Undefined):
            str(value)  # a native environment hands it on; asking for its text says what is missing
        return value
    except _FAULTS as error:
        raise ExpressionError(f"{text}: {error}") from error


@lru_cache(maxsize=2048)
def _compiled(text: str, native: bool) -> Template:
    """As many as a catalogue has; each is tried on every plan, and again with each request."""
    return (_NATIVE if native else _TEXT).from_string(text)
