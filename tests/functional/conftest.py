"""Fixtures of functional tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.functional.depot import Depot, open_depot


@pytest.fixture
def depot(tmp_path: Path, request: pytest.FixtureRequest, databases: Databases) -> Iterator[Depot]:
    """The shipped services; nine in the evening in Beijing: the night's backups are ahead."""
    url = databases.fresh(request.node.name, tmp_path)
    made = open_depot(tmp_path, url)
    made.city.clock.now = made.city.clock.now.replace(hour=13, minute=0)
    yield made
    made.control_plane.db.dispose()
    databases.drop(url)
