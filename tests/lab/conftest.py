"""What the tests of the lab have in common: the table of what they had done."""

from __future__ import annotations

import pytest

from tests.lab.transcript import Transcript


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Transcript(), "transcript")
