"""JSON under `/api/v1`, described by OpenAPI 3.1."""

from __future__ import annotations

from flask import Flask


def register_api(app: Flask) -> None:
    """Adds the API's routes to the application."""
