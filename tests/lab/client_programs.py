"""Client programs of the database engines, as backups need them on the control plane's own host."""

from __future__ import annotations

from pathlib import Path

from lab import settings
from lab.progress import Progress
from lab.services import mariadb, postgresql
from lab.unprivileged import User
from tests.lab.pods import shared_cache


def client_programs() -> dict[str, Path]:
    """Their folders by engine; what is missing is fetched."""
    configured = settings.load(environment={"LAB_CACHE": str(shared_cache())})
    engines = (postgresql.ENGINE, mariadb.ENGINE)
    for engine in engines:
        engine.install(configured, User(), Progress(quiet=True))
    return {engine.name: engine.locate(configured).tools for engine in engines}
