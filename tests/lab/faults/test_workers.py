"""A worker with more to do than it may at once, whose plays hang, whose cloud is away, or that dies
itself: on PostgreSQL, with real processes."""

from __future__ import annotations

import os
import signal

import pytest

from tests.functional.workshop import FakeCloud, Workshop, eventually


@pytest.mark.parametrize("playbook", ["waits", "deaf"])
def test_cancelling_ends_the_whole_process_group(workshop: Workshop, playbook: str) -> None:
    workshop.put(playbook)
    request_id = workshop.order()
    workshop.start()
    begun = workshop.services / ("hanging" if playbook == "deaf" else "notes")
    eventually(begun.exists)
    assert workshop.processes_of_plays()
    operations = workshop.city.control_plane.operations
    operations.cancel_job(workshop.city.person("chengang"), workshop.job().id)
    job = workshop.ended()
    assert (job.state, job.error) == ("cancelled", "cancelled")
    assert workshop.steps()[-1][1] == "failed", "a step that was cut short does not run for ever"
    assert workshop.ended("retire").state == "succeeded"
    assert workshop.request_state(request_id) == "failed"
    eventually(lambda: not workshop.processes_of_plays())
    assert "done" not in workshop.notes()


@pytest.mark.parametrize(
    "workshop", [{"job_timeout_seconds": 8, "job_attempts_max": 1}], indirect=True
)
def test_a_play_that_takes_too_long_is_ended_and_says_so(workshop: Workshop) -> None:
    workshop.put("deaf")
    workshop.order()
    workshop.start()
    job = workshop.ended()
    assert job.state == "failed"
    assert job.error == "ended after 8 s in “Hang”: a run may not take longer"
    assert workshop.ended("retire").state == "succeeded"
    eventually(lambda: not workshop.processes_of_plays())


def kill_in_the_middle_of_a_play(workshop: Workshop) -> None:
    """Kills a worker's process while its play waits; the play goes on without it."""
    first = workshop.start_process()
    eventually(lambda: workshop.steps()[-1:] == [("Wait to be let go", "running")])
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert any("ansible-playbook" in command for command in workshop.processes_of_plays())


def test_a_worker_killed_in_the_middle_of_a_play_is_taken_over_and_it_ends_once(
    workshop: Workshop,
) -> None:
    workshop.put("waits")
    request_id = workshop.order()
    kill_in_the_middle_of_a_play(workshop)
    workshop.start()
    eventually(lambda: len(workshop.notes()) == 2)
    (workshop.services / "go").touch()
    job = workshop.ended()
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert workshop.request_state(request_id) == "fulfilled"
    eventually(lambda: not workshop.processes_of_plays())
    assert workshop.notes().count("done") == 1, "the first play was ended before the second began"


@pytest.mark.parametrize("workshop", [{"job_attempts_max": 1}], indirect=True)
def test_what_a_dead_worker_left_running_is_ended_before_the_job_is_given_up(
    workshop: Workshop,
) -> None:
    """Else it would go on making what is being cleaned up."""
    workshop.put("waits")
    workshop.order()
    kill_in_the_middle_of_a_play(workshop)
    workshop.start()
    job = workshop.ended()
    assert (job.state, job.error) == ("failed", "its worker died at every try")
    assert workshop.ended("retire").state == "succeeded"
    (workshop.services / "go").touch()
    eventually(lambda: not workshop.processes_of_plays())
    assert "done" not in workshop.notes()


def test_what_a_dead_worker_left_running_is_ended_before_a_cancelled_job_ends(
    workshop: Workshop,
) -> None:
    workshop.put("waits")
    workshop.order()
    kill_in_the_middle_of_a_play(workshop)
    operations = workshop.city.control_plane.operations
    operations.cancel_job(workshop.city.person("chengang"), workshop.job().id)
    workshop.start()
    assert workshop.ended().state == "cancelled"
    assert workshop.ended("retire").state == "succeeded"
    eventually(lambda: not workshop.processes_of_plays())
    assert "done" not in workshop.notes()


def test_a_worker_that_stops_lets_the_play_go_on_and_another_finishes_the_job(
    workshop: Workshop,
) -> None:
    workshop.put("waits")
    request_id = workshop.order()
    first = workshop.start_process()
    eventually(lambda: workshop.steps()[-1:] == [("Wait to be let go", "running")])
    first.terminate()
    first.wait()
    (workshop.services / "go").touch()
    workshop.start()
    assert workshop.ended().state == "succeeded"
    assert workshop.request_state(request_id) == "fulfilled"


def test_a_cloud_that_does_not_answer_costs_the_order_no_try(workshop: Workshop) -> None:
    workshop.put("fails")
    workshop.order()
    cloud = FakeCloud(is_silent=True)
    workshop.start(cloud)
    eventually(lambda: "does not answer: connection refused" in workshop.job().error)
    assert workshop.job().attempts_max - workshop.job().attempt >= 2
    workshop.put("waits")
    (workshop.services / "go").touch()
    cloud.is_silent = False
    assert workshop.ended().state == "succeeded"


def test_a_cloud_that_cannot_be_entered_now_costs_the_order_no_try(workshop: Workshop) -> None:
    workshop.put("waits")
    (workshop.services / "go").touch()
    workshop.order()
    cloud = FakeCloud(lets_nobody_in=True)
    workshop.start(cloud)
    eventually(lambda: "does not answer: no token is to be had" in workshop.job().error)
    assert workshop.job().attempts_max - workshop.job().attempt >= 2
    cloud.lets_nobody_in = False
    assert workshop.ended().state == "succeeded"


def test_never_more_plays_at_once_than_the_settings_say(workshop: Workshop) -> None:
    workshop.city.control_plane.settings.playbook_runs_max = 2
    workshop.put("waits")
    for _ in range(3):
        workshop.order()
    workshop.start()
    eventually(lambda: len(workshop.notes()) == 2)
    runs = [c for c in workshop.processes_of_plays() if "ansible_runner" in c]
    assert len(runs) == 2, runs
    (workshop.services / "go").touch()
    eventually(lambda: workshop.notes().count("done") == 3)
