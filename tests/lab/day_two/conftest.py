"""The cloud and the city of the integration tests: here a machine lives longer than a minute."""

from tests.integration.conftest import (  # noqa: F401 - fixtures
    admin,
    city,
    cloud_entry,
    proxy,
    run_suffix,
    running_city,
)
