"""One cluster with a node, as root on Debian, for all of these tests that a worker runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.pods import Lab, free_ranges


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
