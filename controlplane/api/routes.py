"""A route of the API: address, permission, what it takes and gives, in one decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import marshmallow as ma
from flask import request
from flask_smorest import Blueprint

from controlplane import policy
from controlplane.api.arguments import StrictParser
from controlplane.api.bearer import control_plane, current_subject, identify
from controlplane.api.problems import PREFIX, register_problem_handlers
from controlplane.api.throttle import Throttle
from controlplane.errors import Forbidden, NotSignedIn

View = TypeVar("View", bound=Callable[..., Any])
SchemaType = type[ma.Schema]

__all__ = ["Routes", "control_plane", "current_subject"]


class _Blueprint(Blueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = StrictParser()


class Routes:
    """The routes of one noun; every route names the policy action that it needs.

    A view gets the loaded query, then the loaded body, then the path's parts by name.
    """

    def __init__(self, noun: str, description: str) -> None:
        self.noun, self.description = noun, description
        self.blueprint = _Blueprint(f"api_{noun}", __name__, url_prefix=PREFIX)
        self.blueprint.before_request(self._authorise)
        register_problem_handlers(self.blueprint)
        #: policy action by endpoint
        self.actions: dict[str, str] = {}

    def get(
        self,
        path: str,
        *,
        action: str,
        answer: SchemaType | None = None,
        query: SchemaType | None = None,
        content_type: str | None = None,
    ) -> Callable[[View], View]:
        """A read. Without `answer` the view makes the response itself, of `content_type`."""
        return self._route(
            "GET", path, action=action, answer=answer, query=query, content_type=content_type
        )

    def post(
        self,
        path: str,
        *,
        action: str,
        answer: SchemaType,
        status: int = 200,
        body: SchemaType | None = None,
        query: SchemaType | None = None,
        doc: Mapping[str, Any] | None = None,
    ) -> Callable[[View], View]:
        """A change. `doc` is merged into the operation's OpenAPI description."""
        return self._route(
            "POST",
            path,
            action=action,
            answer=answer,
            status=status,
            body=body,
            query=query,
            doc=doc,
        )

    def delete(self, path: str, *, action: str, answer: SchemaType) -> Callable[[View], View]:
        return self._route("DELETE", path, action=action, answer=answer)

    def _route(
        self,
        method: str,
        path: str,
        *,
        action: str,
        answer: SchemaType | None,
        status: int = 200,
        query: SchemaType | None = None,
        body: SchemaType | None = None,
        content_type: str | None = None,
        doc: Mapping[str, Any] | None = None,
    ) -> Callable[[View], View]:
        if action not in policy.TABLE:
            raise KeyError(f"{method} {path}: no policy action {action}")
        blueprint = self.blueprint

        def register(view: View) -> View:
            handler: Callable[..., Any] = view
            if body is not None:
                handler = blueprint.arguments(body)(handler)
            if query is not None:
                handler = blueprint.arguments(query, location="query")(handler)
            schema = answer or {"type": "string"}
            handler = blueprint.response(status, schema, content_type=content_type)(handler)
            handler = blueprint.doc(
                **{"operationId": view.__name__, "x-policy-action": action, **(doc or {})}
            )(handler)
            blueprint.route(path, methods=[method], tags=[self.noun])(handler)
            self.actions[f"{blueprint.name}.{view.__name__}"] = action
            return view

        return register

    def _authorise(self) -> None:
        """Errors: NotSignedIn, Forbidden; a request too many is refused before anything else."""
        throttle = throttle_of_app()
        try:
            subject = identify()
        except NotSignedIn:
            throttle.count_stranger()
            raise
        throttle.count_person()
        if not policy.is_allowed(subject, self.actions[str(request.endpoint)]):
            raise Forbidden


def throttle_of_app() -> Throttle:
    from flask import current_app

    throttle: Throttle = current_app.extensions["api_throttle"]
    return throttle
