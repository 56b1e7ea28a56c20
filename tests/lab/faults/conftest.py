"""The cloud and the city of the integration tests: here it fails, and the control plane dies."""

import pytest

from tests.functional.conftest import workshop  # noqa: F401 - a fixture
from tests.integration.conftest import (  # noqa: F401 - fixtures
    admin,
    city,
    cloud_entry,
    proxy,
    run_suffix,
)
from tests.integration.conftest import running_city as new_city  # noqa: F401 - a fixture
from tests.integration.live_city import LiveCity


@pytest.fixture(scope="session")
def running_city(new_city: LiveCity) -> LiveCity:  # noqa: F811
    """Its department is set up: what fails is the order, not what comes before it."""
    new_city.delivered_vm()
    new_city.retire_all()
    return new_city
