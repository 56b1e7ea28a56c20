"""The shared database servers of these tests: a lab's of their own, for the whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import settings
from lab.progress import Progress
from lab.services import endpoints, shared


@pytest.fixture(scope="session")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of PostgreSQL, MariaDB, Redis and RabbitMQ, as an operator hands it over."""
    home = tmp_path_factory.mktemp("services") / "lab"
    environment = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
    configured = settings.load(environment={**environment, "LAB_HOME": str(home)})
    quiet = Progress(quiet=True)
    try:
        shared.start(shared.ENGINES, configured, quiet)
        yield endpoints.write_inventory(configured)
    finally:
        shared.clean(configured, quiet)
