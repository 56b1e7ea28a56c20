"""The pages: blueprints, templates, browser assets and translations over the pipeline."""

from flask import Flask


def register_ui(app: Flask) -> None:
    """Add every page, its assets, its error pages and its security headers to `app`."""
    from ui import failures, frame, presentation, session, views

    presentation.install(app)
    session.install(app)
    failures.install(app)
    frame.install(app)
    views.install(app)
