"""Reads query and JSON body strictly, and names every fault in them at once."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import marshmallow as ma
from flask import Request
from webargs.core import missing
from webargs.flaskparser import FlaskParser, is_json_request

from controlplane.api.fields import NUMBER_MAX
from controlplane.api.problems import RequestRefused
from controlplane.api.words import HTTP_MESSAGES
from controlplane.errors import Fault, InvalidInput
from controlplane.messages import MESSAGES

#: How deep objects and lists may stand in each other; our own bodies need five.
DEPTH_MAX = 12


class StrictParser(FlaskParser):
    """Unknown fields are refused in the query too; a body that is not JSON is not read as empty."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - read by webargs
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": ma.RAISE,
    }

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data(cache=True)
        if not body:
            return missing
        if not is_json_request(req):
            raise RequestRefused(415, "unsupported_media_type")
        return read_json(body)

    def handle_error(self, error: ma.ValidationError, *_args: Any, **_kwargs: Any) -> NoReturn:
        by_location = error.messages_dict  # webargs puts the location on top
        raise InvalidInput(f for inner in by_location.values() for f in faults_in(inner))


def read_json(body: bytes) -> Any:
    """The document, if every reader understands it alike.

    Refused: not UTF-8, NaN and the like, numbers no JSON reader agrees on, half a surrogate pair,
    nesting beyond `DEPTH_MAX`. Errors: RequestRefused.
    """
    try:
        document = json.loads(
            body.decode("utf-8"),
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=_not_a_number,
        )
        _check_depth_and_text(document)
    except RecursionError as error:
        raise RequestRefused(400, "json_malformed", reason="nesting") from error
    except ValueError as error:
        raise RequestRefused(400, "json_malformed", reason=_reason(error)) from error
    return document


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}: {error.msg}"
    return "UTF-8" if isinstance(error, UnicodeError) else str(error)


def _whole(digits: str) -> int:
    number = int(digits) if len(digits) <= 17 else NUMBER_MAX + 1
    if abs(number) > NUMBER_MAX:
        raise ValueError(f"number beyond {NUMBER_MAX}")
    return number


def _decimal(text: str) -> int | float:
    """100.0 is the whole number 100 (JSON knows one kind of number)."""
    number = float(text)
    if abs(number) > NUMBER_MAX:
        raise ValueError(f"number beyond {NUMBER_MAX}")
    return int(number) if number.is_integer() else number


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _check_depth_and_text(document: Any) -> None:
    level, depth = [document], 0
    while level:
        if depth > DEPTH_MAX:
            raise ValueError("nesting")
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                value.encode("utf-8")
            elif isinstance(value, list):
                below += value
            elif isinstance(value, dict):
                below += [*value, *value.values()]
        level, depth = below, depth + 1


def faults_in(messages: Any, at: str = "") -> list[Fault]:
    """Marshmallow's messages, nested as the data was, as a flat list of faults with paths."""
    if isinstance(messages, dict):
        return [
            fault
            for key, inner in messages.items()
            for fault in faults_in(inner, at if key == "_schema" else _joined(at, str(key)))
        ]
    if isinstance(messages, list | tuple):
        return [_fault(message, at) for message in messages]
    return [_fault(messages, at)]


def _fault(message: Any, at: str) -> Fault:
    if isinstance(message, Fault):
        return Fault(message.code, at, message.params)
    known = message in MESSAGES or message in HTTP_MESSAGES
    name = at.rpartition(".")[2]
    return Fault(message if known else "field_type", at, {"name": name})


def _joined(at: str, key: str) -> str:
    return f"{at}.{key[:60]}" if at else key[:60]
