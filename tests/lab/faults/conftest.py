"""The cloud and the city of the integration tests: here it fails, and the control plane dies."""

from tests.functional.conftest import workshop  # noqa: F401 - a fixture
from tests.integration.conftest import (  # noqa: F401 - fixtures
    admin,
    city,
    cloud_entry,
    proxy,
    run_suffix,
    running_city,
)
