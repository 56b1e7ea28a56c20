"""Marshmallow fields that name what is wrong in our own codes, and say it in OpenAPI too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from controlplane.clock import from_epoch
from controlplane.errors import Fault

ID_MAX = 2**63 - 1
#: Whole numbers beyond this are not the same in every JSON reader (RFC 8259 §6).
NUMBER_MAX = 2**53 - 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,19}")
_CODES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": "field_required",
    "null": "field_type",
    "invalid": "field_type",
}


def absent() -> None:
    """A `load_default` for what was left out; being a callable it is not described as a value."""


def _refuse(code: str, **params: Any) -> ma.ValidationError:
    return ma.ValidationError([Fault(code, "", params)])


class Text(ma.fields.String):
    """Text of a person; line breaks only where `lines`, other control characters never."""

    default_error_messages = _CODES

    def __init__(
        self, *, max_length: int, min_length: int = 0, lines: bool = False, **kwargs: Any
    ) -> None:
        limits: dict[str, Any] = {"maxLength": max_length}
        if min_length:
            limits["minLength"] = min_length
        forbidden = _CONTROL_BUT_LINES if lines else _CONTROL
        limits["pattern"] = "^[^" + forbidden.pattern[1:] + "*$"
        super().__init__(metadata={**limits, **kwargs.pop("metadata", {})}, **kwargs)
        self._max, self._min, self._forbidden = max_length, min_length, forbidden

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        if not isinstance(value, str):
            raise _refuse("field_not_text")
        if self._forbidden.search(value):
            raise _refuse("field_control_characters")
        if len(value) < self._min:
            code = "field_too_short" if value else "field_required"
            raise _refuse(code, limit=self._min)
        if len(value) > self._max:
            raise _refuse("field_too_long", limit=self._max, length=len(value))
        return value


class Choice(ma.fields.String):
    """One of a fixed set of codes."""

    default_error_messages = _CODES

    def __init__(self, choices: Iterable[str], **kwargs: Any) -> None:
        self._choices = tuple(str(c) for c in choices)
        metadata = {"enum": list(self._choices), **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self._choices:
            raise _refuse("field_choice")
        return value


class WholeNumber(ma.fields.Integer):
    """A whole number; `from_text` where it comes from a query string."""

    default_error_messages = _CODES

    def __init__(
        self, *, minimum: int, maximum: int, from_text: bool = False, **kwargs: Any
    ) -> None:
        limits = {"minimum": minimum, "maximum": maximum}
        super().__init__(metadata={**limits, **kwargs.pop("metadata", {})}, **kwargs)
        self._min, self._max, self._from_text = minimum, maximum, from_text

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        if self._from_text and isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refuse("field_not_integer")
        if value < self._min:
            raise _refuse("field_too_small", limit=self._min)
        if value > self._max:
            raise _refuse("field_too_large", limit=self._max)
        return value


class Flag(ma.fields.Boolean):
    """`true` or `false` in a query string."""

    default_error_messages = _CODES

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise _refuse("field_choice")
        return bool(value == "true")


class FormObject(ma.fields.Dict):
    """A filled form, checked by the service's own declaration afterwards."""

    default_error_messages = _CODES

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"additionalProperties": True, **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _refuse("field_type")
        return value


class UtcTime(ma.fields.DateTime):
    """RFC 3339 in UTC with whole seconds, from an aware time."""

    def _serialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str | None:
        return None if value is None else _rfc3339(value)


class Moment(ma.fields.DateTime):
    """A time that a client sends: RFC 3339, with its zone."""

    default_error_messages = _CODES

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        try:
            at = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise _refuse("field_type") from None
        if at.tzinfo is None:
            raise _refuse("field_type")
        return at


class EpochTime(UtcTime):
    """The same from epoch seconds."""

    def _serialize(self, value: Any, *_args: Any, **_kwargs: Any) -> str | None:
        return None if value is None else _rfc3339(from_epoch(value))


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Names(ma.fields.Field[Any]):
    """{zh, en} from `<stem>_zh` and `<stem>_en` of the object, or from a mapping that has them."""

    def __init__(self, stem: str = "name", **kwargs: Any) -> None:
        metadata = {
            "type": "object",
            "properties": {"zh": {"type": "string"}, "en": {"type": "string"}},
            "required": ["zh", "en"],
        }
        super().__init__(metadata=metadata, dump_only=True, **kwargs)
        self._stem = stem

    def serialize(self, attr: str, obj: Any, *_args: Any, **_kwargs: Any) -> Any:
        if obj is not None and hasattr(obj, f"{self._stem}_zh"):
            return {
                "zh": getattr(obj, f"{self._stem}_zh"),
                "en": getattr(obj, f"{self._stem}_en"),
            }
        name = self.attribute or attr
        value = obj.get(name) if isinstance(obj, Mapping) else getattr(obj, name)
        return None if value is None else {"zh": value["zh"], "en": value["en"]}


class Amounts(ma.fields.Dict):
    """Whole numbers by dimension; the unit stands in the dimension's name (`memory_mib`)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=ma.fields.String(), values=ma.fields.Integer(), **kwargs)


class Input(ma.Schema):
    """What a client sends: unknown fields are refused."""

    class Meta:
        unknown = ma.RAISE

    error_messages = {  # noqa: RUF012 - read by marshmallow
        "unknown": "field_unknown",
        "type": "field_type",
    }


class Output(ma.Schema):
    """What a client gets: every field is always there, if only as null."""

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        field_obj.required = True
