"""One copy of the lab with real machines, as root on Debian, for all of these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.live_city import LiveCity
from tests.lab import by_hand, dedicated
from tests.lab.cloud import Department, Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.fail("real machines need root: run these tests as root, or leave them out")
    with dedicated.started(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCity]:
    with dedicated.governed(lab, tmp_path_factory.mktemp("city")) as city:
        yield city


@pytest.fixture(scope="session")
def engineers(lab: Lab) -> Department:
    """Where platform engineers have machines of their own."""
    return by_hand.department(lab)
