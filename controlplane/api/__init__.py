"""JSON under `/api/v1`, described by OpenAPI 3.1; `docs/api.md` walks through it."""

from __future__ import annotations

from flask import Flask


def register_api(app: Flask) -> None:
    """Adds the API's routes to the application.

    Its own blueprints (named `api_...`) handle their errors; nothing here needs a cookie, so a
    page's CSRF check must leave them out.
    """
    from controlplane.api.openapi import add_routes
    from controlplane.api.problems import answer_unknown_addresses
    from controlplane.api.throttle import Throttle
    from controlplane.api.views import NOUNS

    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["api_throttle"] = Throttle(app)
    add_routes(app, NOUNS)
    answer_unknown_addresses(app)
