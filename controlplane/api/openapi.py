"""The OpenAPI 3.1 description of the API, served at `/api/v1/openapi.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import marshmallow as ma
from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from flask_smorest import Api
from flask_smorest.utils import prepare_response
from werkzeug.routing import BaseConverter

from controlplane import __version__
from controlplane.api.fields import Names, Output
from controlplane.api.problems import PREFIX, PROBLEM_TYPE, register_problem_handlers
from controlplane.api.routes import Routes

DESCRIPTION = """\
Everything the pages do, for programs. Money is whole micro-yuan (`..._micro_yuan`), sizes carry \
their unit in their name (`memory_mib`, `storage_gib.ssd`), times are RFC 3339 in UTC. Errors are \
RFC 9457 problems with a stable `code`, their sentences Chinese or English by `Accept-Language`."""


class FaultSchema(Output):
    field = ma.fields.String()
    code = ma.fields.String()
    detail = ma.fields.String()
    params = ma.fields.Dict()


class ProblemSchema(Output):
    """RFC 9457 problem details."""

    type = ma.fields.String()
    title = ma.fields.String()
    status = ma.fields.Integer()
    detail = ma.fields.String()
    code = ma.fields.String()
    instance = ma.fields.String()
    errors = ma.fields.List(ma.fields.Nested(FaultSchema))


class MonthConverter(BaseConverter):
    """A calendar month in an address, such as 2026-11."""

    regex = "[0-9]{4}-[0-9]{2}"


class IdConverter(BaseConverter):
    """A row's number in an address: no longer than a database takes."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)


def _month_schema(_converter: BaseConverter) -> dict[str, Any]:
    return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "example": "2026-11"}


def _id_schema(_converter: BaseConverter) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}


class DescribedApi(Api):  # type: ignore[misc]
    """flask-smorest's description without its error handlers, its page and its commands' page."""

    def _register_error_handlers(self) -> None:
        """None for the whole application: each blueprint has its own."""

    def _register_doc_blueprint(self) -> None:
        """The document has a route of ours."""

    def _register_responses(self) -> None:
        response = {"description": "Problem (RFC 9457)", "schema": ProblemSchema}
        prepare_response(response, self.spec, PROBLEM_TYPE)
        for name in (self.DEFAULT_ERROR_RESPONSE_NAME, "UNPROCESSABLE_ENTITY"):
            self.spec.components.response(name, dict(response), lazy=True)


def add_routes(app: Flask, nouns: Sequence[Routes]) -> None:
    """Registers the nouns' routes with the application, and the address of their description."""
    app.url_map.converters.update(month=MonthConverter, id=IdConverter)
    for routes in nouns:
        app.register_blueprint(routes.blueprint)
    app.extensions["api_openapi"] = partial(describe, tuple(nouns))
    app.register_blueprint(description)


@cache
def describe(nouns: tuple[Routes, ...]) -> bytes:
    """The document in JSON, made when it is first asked for: an application that starts need not
    wait for it. flask-smorest writes it down while registering, here with an application of no
    other use."""
    app = Flask("described")
    app.url_map.converters.update(month=MonthConverter, id=IdConverter)
    api = DescribedApi(
        app,
        spec_kwargs={
            "title": "egov-cloud control plane",
            "version": __version__,
            "openapi_version": "3.1.0",
            "info": {"description": DESCRIPTION},
            "security": [{"bearer": []}],
        },
    )
    api.register_converter(MonthConverter, _month_schema)
    api.register_converter(IdConverter, _id_schema)
    api.ma_plugin.map_to_openapi_type(Names, "object", None)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    for routes in nouns:
        api.register_blueprint(routes.blueprint)
    tags = [{"name": r.noun, "description": r.description} for r in nouns]
    document = {**api.spec.to_dict(), "tags": tags}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


description = Blueprint("api_description", __name__, url_prefix=PREFIX)
register_problem_handlers(description)


@description.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Open to everybody: it says nothing that is not in the source."""
    body: bytes = current_app.extensions["api_openapi"]()
    answer = Response(body, content_type="application/json")
    answer.set_etag(hashlib.sha256(body).hexdigest()[:32])
    answer.cache_control.no_cache = True
    return answer.make_conditional(request)
