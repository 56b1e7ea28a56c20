"""What the lab does to its host, and takes back: as root on Debian, and alone on the machine."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        pytest.fail("the lab's real parts need root: run these tests as root, or leave them out")
