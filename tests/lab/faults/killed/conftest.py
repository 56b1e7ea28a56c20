"""Servers to be killed, and a city that orders from them, of each file's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.services import endpoints, shared
from tests.integration.live_city import end_live_city
from tests.lab.faults.killed.killing import QUIET, Servers
from tests.lab.servers.backed_engines import ENGINES
from tests.lab.servers.shared_city import SharedCity, make_shared_city


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("services"))
    try:
        made.start()
        yield made
    finally:
        shared.clean(made.settings, QUIET)


@pytest.fixture(scope="module")
def city(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCity]:
    inventory, folder = endpoints.write_inventory(servers.settings), tmp_path_factory.mktemp("city")
    changes = {"job_attempts_max": 5, "job_retry_base_seconds": 1}
    city = make_shared_city(folder, inventory, backup_store=folder / "store", **changes)
    yield city
    city.retire_all("postgresql", "mariadb", "redis", "rabbitmq")
    city.assert_nothing_is_left()
    end_live_city(city)
    assert [engine.left_on(inventory) for engine in ENGINES] == [[], []]
