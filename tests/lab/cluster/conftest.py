"""One cluster with a node, as root on Debian, for all of these tests that a worker runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.pods import Lab, free_ranges

#: A worker does a whole file, so those that take longest come first.
LONGEST_FIRST = ("test_backups.py", "test_engines.py", "test_webapp.py", "test_services.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.fail("a node needs root: run these tests as root, or leave them out")
    real = {"LAB_KUBERNETES__PODS": "real"}
    lab = Lab(tmp_path_factory.mktemp("lab"), overrides=free_ranges() | real)
    try:
        lab.must("start")
        yield lab
    finally:
        lab.must("clean")
