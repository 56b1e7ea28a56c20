"""One leader among several processes."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

from controlplane.clock import utc_now
from controlplane.leadership import lead
from controlplane.ticks import Ticks
from tests.factories import City
from tests.functional.concurrently import at_once

LEASE = timedelta(seconds=30)


def leads(city: City, holder: str, name: str = "ticks") -> bool:
    return lead(city.control_plane.db, name, holder, LEASE, city.clock())


def test_the_first_leads_and_keeps_leading(city: City) -> None:
    assert leads(city, "a")
    assert not leads(city, "b")
    city.clock.advance(seconds=29)
    assert leads(city, "a"), "which prolongs its lease"
    city.clock.advance(seconds=29)
    assert not leads(city, "b")


def test_another_leads_once_the_lease_has_run_out(city: City) -> None:
    assert leads(city, "a")
    city.clock.advance(seconds=30)
    assert not leads(city, "b"), "the lease's last second is the holder's"
    city.clock.advance(seconds=1)
    assert leads(city, "b")
    assert not leads(city, "a"), "who was away too long has lost it"


def test_each_lease_has_a_leader_of_its_own(city: City) -> None:
    assert leads(city, "a", "ticks")
    assert leads(city, "b", "reports")


def test_of_many_that_begin_at_once_one_leads(city: City) -> None:
    done = at_once([partial(leads, city, f"p{i}") for i in range(8)])
    assert not [x for x in done if isinstance(x, Exception)], done
    assert sum(x is True for x in done) == 1
    city.clock.advance(seconds=31)
    done = at_once([partial(leads, city, f"p{i}") for i in range(8)])
    assert sum(x is True for x in done) == 1, done


def test_only_the_leader_fires_a_tick_and_a_tick_that_fails_ends_nothing(city: City) -> None:
    control_plane = city.control_plane

    def ticks(holder: str) -> Ticks:
        return Ticks(control_plane, {}, holder)

    fired: list[str] = []

    def broken() -> None:
        fired.append("broken")
        raise ZeroDivisionError

    def tick_of(holder: str) -> None:
        def tick() -> None:
            fired.append(holder)

        ticks(holder)._as_leader(tick)

    tick_of("a")
    tick_of("b")
    ticks("a")._as_leader(broken)
    tick_of("a")
    assert fired == ["a", "broken", "a"]


class CloudThatIsRead:
    def __init__(self) -> None:
        self.is_read = threading.Event()

    def pool_facts(self, _availability_zone: str) -> tuple[dict[str, int], list[dict[str, str]]]:
        self.is_read.set()
        return {"vcpu": 1}, []


def test_a_tick_whose_moment_a_busy_machine_has_missed_is_made_up_for(city: City) -> None:
    cloud = CloudThatIsRead()
    ticks = Ticks(city.control_plane, {"lab": cloud}, "a")
    assert city.clock() < utc_now() - timedelta(hours=1), "the first moment is long over"
    ticks.start()
    try:
        assert cloud.is_read.wait(20), "what is due every minute was left out for a minute"
    finally:
        ticks.stop()
