"""An upgrade of instances on real servers and pods, as the tick moves it on."""

from __future__ import annotations

from functools import partial

from controlplane.reports.upgrades import find_campaign
from tests.integration.live_city import LiveCity, unfinished_jobs, wait_for

#: Two at a time: a backup, the upgrade, and the way back of one of them.
WAVE_SECONDS = 240


def advance_to_the_end(city: LiveCity, number: str) -> str:
    """What the tick does, until the campaign runs no more."""
    while True:
        city.control_plane.upgrading.advance()
        city.worker.wake()
        wait_for(partial(is_idle, city), "the end of all jobs", city.told, WAVE_SECONDS)
        with city.control_plane.db.read() as session:
            state = find_campaign(session, number, city.clock()).campaign.state
        if state != "running":
            return state


def is_idle(city: LiveCity) -> bool | None:
    with city.control_plane.db.read() as session:
        return None if session.scalar(unfinished_jobs()) else True
