"""What resources use of what they hold: sampled, kept by the hour, shown beside it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from flask import Flask

from controlplane.app import create_app
from controlplane.clock import epoch_seconds
from controlplane.errors import CloudUnavailable
from controlplane.metering.models import UseHour
from controlplane.readings import UseReading
from controlplane.reports import month
from tests.factories import City
from tests.functional.api_fixtures import make_api
from tests.functional.test_ui_pages import lint, sign_in


@dataclass
class Cluster:
    """A cloud as the tick sees it."""

    used: dict[str, UseReading] = field(default_factory=dict)
    is_away: bool = False

    def use_readings(self) -> dict[str, UseReading]:
        if self.is_away:
            raise CloudUnavailable(reason="away")
        return self.used


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def tick(city: City, cluster: Cluster) -> int:
    return city.control_plane.utilisation.sample({"lab": cluster, "other": object()})


def hours(city: City) -> list[tuple[int, int, int]]:
    """(samples, sum, largest) of CPU in each hour."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(sa.select(UseHour).order_by(UseHour.hour))
        return [(r.samples, r.cpu_millicores_sum, r.cpu_millicores_max) for r in rows]


def test_samples_add_up_by_the_hour(city: City, cluster: Cluster) -> None:
    resource_id = city.delivered()
    city.clock.advance(seconds=3600 - epoch_seconds(city.clock()) % 3600)
    cluster.used = {resource_id: UseReading(100, 50), "unknown": UseReading(1, 1)}
    assert tick(city, cluster) == 1
    assert tick(city, cluster) == 0, "the tick of a leader that was one a moment ago"
    city.clock.advance(minutes=1)
    cluster.used = {resource_id: UseReading(300, 70)}
    assert tick(city, cluster) == 1
    city.clock.advance(minutes=59)
    assert tick(city, cluster) == 1
    assert hours(city) == [(2, 400, 300), (1, 300, 300)]
    city.clock.advance(days=401)
    tick(city, cluster)
    assert hours(city) == [(1, 300, 300)], "what is older than a year has gone"


def test_a_cloud_that_is_away_tells_nothing(city: City, cluster: Cluster) -> None:
    cluster.used, cluster.is_away = {city.delivered(): UseReading(1, 1)}, True
    assert tick(city, cluster) == 0
    assert hours(city) == []


@pytest.fixture
def app(city: City) -> Flask:
    return create_app(city.control_plane)


def test_use_stands_beside_what_is_held(city: City, cluster: Cluster, app: Flask) -> None:
    """On the resource's page, in the month down to the resource, in its file and in the API."""
    resource_id, silent = city.delivered(), city.delivered()
    for cpu in (100, 300):
        city.clock.advance(minutes=1)
        cluster.used = {resource_id: UseReading(cpu, 512)}
        tick(city, cluster)
    clerk, finance = sign_in(app, "limin"), sign_in(app, "sunli")
    page = clerk.get(f"/resources/{resource_id}")
    assert lint(page.text) == []
    assert "实际使用" in page.text
    assert "0.20 核（20\xa0%），峰值 0.30 核" in page.text
    assert "实际使用" not in clerk.get(f"/resources/{silent}").text

    now = city.clock()
    department_id = city.department_id("civil-affairs")
    at = f"/months/{now:%Y-%m}"
    listed = finance.get(f"{at}/departments/{department_id}")
    assert lint(listed.text) == []
    assert "20\xa0%" in listed.text
    detail = finance.get(f"{at}/resources/{resource_id}")
    assert lint(detail.text) == []
    assert "0.20 核" in detail.text
    assert "平均使用" not in finance.get(f"{at}/resources/{silent}").text

    with city.control_plane.db.read() as session:
        text = month.month_csv(session, city.person("sunli"), now.year, now.month, now)
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    told = {
        row["计量项"]: (row["平均使用（毫核、MiB）"], row["峰值使用（毫核、MiB）"])
        for row in rows
        if row["平均使用（毫核、MiB）"]
    }
    assert told == {"vcpu": ("200", "300"), "memory_mib": ("512", "512")}

    api = make_api(city)
    resources = api.get("sunli", f"{at}/departments/{department_id}").json["resources"]
    by_id = {one["id"]: one["used"] for one in resources}
    assert by_id[resource_id]["cpu_millicores_mean"] == 200
    assert by_id[silent] is None
