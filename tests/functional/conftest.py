"""Fixtures of functional tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.depot import Depot, open_depot
from tests.functional.workshop import Workshop, make_workshop


@pytest.fixture
def depot(tmp_path: Path, sample_url: str) -> Iterator[Depot]:
    """The shipped services; nine in the evening in Beijing: the night's backups are ahead."""
    made = open_depot(tmp_path, sample_url)
    made.city.clock.now = made.city.clock.now.replace(hour=13, minute=0)
    yield made
    made.control_plane.db.dispose()


@pytest.fixture
def workshop(tmp_path: Path, request: pytest.FixtureRequest, sample_url: str) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, sample_url, **getattr(request, "param", {}))
    yield made
    made.close()
    made.city.control_plane.db.dispose()
