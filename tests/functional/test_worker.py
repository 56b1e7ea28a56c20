"""The worker with real playbooks: what ansible-runner does, and what becomes of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from controlplane import worker
from controlplane.db import announce
from controlplane.provisioning.models import Resource
from controlplane.provisioning.runner import OPENING_STEP, log_path
from controlplane.service_requests.models import ServiceRequest
from tests.functional.workshop import FakeCloud, Workshop, eventually

#: What ansible-runner does is the same on every database: run once, on SQLite.
any_database = pytest.mark.any_database


def resource_of(workshop: Workshop, request_id: int) -> Resource:
    with workshop.city.control_plane.db.read() as session:
        request = session.get_one(ServiceRequest, request_id)
        assert request.resource_id is not None
        return session.get_one(Resource, request.resource_id)


def log_of(workshop: Workshop, action: str = "provision") -> str:
    job = workshop.job(action)
    return log_path(workshop.jobs / job.number, job.attempt).read_text(encoding="utf-8")


def files_with(folder: Path, secret: str) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_a_department_is_set_up_and_its_order_delivered(workshop: Workshop) -> None:
    request_id = workshop.city.submit()
    workshop.city.approve(request_id)
    cloud = FakeCloud()
    workshop.start(cloud)
    job = workshop.ended()
    assert (job.state, job.attempt, job.error) == ("succeeded", 1, "")
    assert workshop.request_state(request_id) == "fulfilled"
    resource = resource_of(workshop, request_id)
    assert resource.outputs == {"server_id": f"drill-{resource.id}"}
    assert set(cloud.projects) == {"egov-civil-affairs-internet"}
    assert workshop.steps("onboard") == [(OPENING_STEP, "ok"), ("Report", "ok")]
    eventually(lambda: not workshop.processes_of_plays())


def test_a_worker_is_told_of_what_was_decided_and_need_not_look(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 3600)
    workshop.start()
    request_id = workshop.city.submit()
    workshop.city.approve(request_id)
    assert workshop.ended().state == "succeeded"


def test_nobody_is_told_of_what_was_taken_back(workshop: Workshop) -> None:
    heard: list[str] = []
    db = workshop.city.control_plane.db
    db.listen("news", lambda: heard.append("news"))
    with suppress(LookupError), db.transaction() as session:
        announce(session, "news")
        raise LookupError
    assert not heard
    with db.transaction() as session:
        announce(session, "news")
        assert not heard, "before it is committed"
    assert heard == ["news"]


TYPED = "{{ lookup('pipe', 'echo pwned') }} {% if %} {# # }"


@any_database
def test_what_a_person_typed_is_no_template_to_a_play(workshop: Workshop) -> None:
    """Ansible takes text of extra variables for templates, which may run programs here."""
    workshop.put("repeats")
    request_id = workshop.order(system_name=TYPED)
    workshop.start()
    assert workshop.ended().state == "succeeded", workshop.job().error
    assert resource_of(workshop, request_id).outputs["server_id"] == f"told: {TYPED}"


@any_database
def test_steps_of_every_kind_are_recorded_and_the_log_is_there(workshop: Workshop) -> None:
    workshop.put("many_steps")
    request_id = workshop.order()
    workshop.start()
    assert workshop.ended().state == "succeeded"
    assert workshop.steps() == [
        (OPENING_STEP, "ok"),
        ("准备", "ok"),
        ("Left out", "skipped"),
        ("Goes wrong and does not matter", "ok"),
        ("Several at once", "ok"),
        ("Try", "failed"),
        ("Put right", "ok"),
        ("Report", "ok"),
    ]
    assert resource_of(workshop, request_id).outputs["addresses"] == {"fixed": "10.77.0.5"}
    assert "TASK [准备]" in log_of(workshop)


@any_database
def test_steps_show_while_the_play_runs(workshop: Workshop) -> None:
    workshop.put("waits")
    workshop.order()
    workshop.start()
    eventually(lambda: workshop.steps()[-1:] == [("Wait to be let go", "running")])
    assert "Wait to be let go" in log_of(workshop)
    assert workshop.job().state == "running"
    (workshop.services / "go").touch()
    assert workshop.ended().state == "succeeded"
    assert [state for _, state in workshop.steps()] == ["ok"] * 5


#: Comes after the recap, and keeps the run's process until it is let go.
LINGERS = """
import pathlib, time
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "notification", "lingers"

    def v2_playbook_on_stats(self, stats):
        while not (pathlib.Path(__file__).parent.parent / "go").exists():
            time.sleep(0.05)
"""


def linger(workshop: Workshop, playbook: str) -> None:
    """The run of this playbook keeps its process after its recap until it is let go."""
    workshop.put(playbook)
    plugins = workshop.services / "callback_plugins"
    plugins.mkdir()
    (plugins / "lingers.py").write_text(LINGERS)
    workshop.order()
    workshop.start()


@any_database
def test_a_run_has_ended_well_with_its_recap_though_its_process_lingers(workshop: Workshop) -> None:
    linger(workshop, "repeats")
    assert workshop.ended().state == "succeeded"
    assert workshop.processes_of_plays()
    (workshop.services / "go").touch()
    eventually(lambda: not workshop.processes_of_plays())


@any_database
def test_a_run_whose_recap_tells_of_a_failure_ends_with_its_process(workshop: Workshop) -> None:
    linger(workshop, "fails")
    eventually(lambda: ("Make the machine", "failed") in workshop.steps())
    assert workshop.job().state == "running"
    (workshop.services / "go").touch()
    assert workshop.ended().state == "failed"


@any_database
def test_a_play_that_fails_is_tried_again_and_then_cleaned_up(workshop: Workshop) -> None:
    workshop.put("fails")
    request_id = workshop.order()
    workshop.start()
    job = workshop.ended()
    assert (job.state, job.attempt) == ("failed", 3)
    assert job.error == "Make the machine: No valid host was found for the flavor m1.large."
    assert workshop.steps()[1:] == [("Prepare", "ok"), ("Make the machine", "failed")]
    assert workshop.ended("retire").state == "succeeded"
    assert workshop.request_state(request_id) == "failed"
    for attempt in (1, 2, 3):
        log = log_path(workshop.jobs / job.number, attempt)
        assert "No valid host" in log.read_text(encoding="utf-8")


@any_database
def test_a_second_try_may_succeed(workshop: Workshop) -> None:
    workshop.put("fails_once")
    request_id = workshop.order()
    workshop.start()
    job = workshop.ended()
    assert (job.state, job.attempt, job.error) == ("succeeded", 2, "")
    assert resource_of(workshop, request_id).outputs == {"server_id": "second"}


@any_database
@pytest.mark.parametrize(
    ("playbook", "says"),
    [
        ("broken", "[ERROR]: YAML parsing failed: "),
        ("no_such_module", "[ERROR]: couldn't resolve module/action 'egov.openstack.teleport'"),
    ],
)
def test_a_playbook_that_cannot_be_read_is_final_at_once_and_says_why(
    workshop: Workshop, playbook: str, says: str
) -> None:
    workshop.put(playbook)
    workshop.order()
    workshop.start()
    job = workshop.ended()
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.error.startswith(says)
    assert "provision.yml:" in job.error, "it names file and line"
    assert "\x1b" not in job.error
    assert workshop.ended("retire").state == "succeeded"


@any_database
def test_no_secret_is_in_a_log_an_error_or_a_file_that_stays(workshop: Workshop) -> None:
    workshop.put("keeps_secrets")
    workshop.order()
    workshop.start()
    job = workshop.ended()
    assert job.state == "failed"
    assert "hunter2" not in job.error
    assert job.error.startswith("Fail with the secret in hand: ")
    workshop.ended("retire")
    assert files_with(workshop.jobs, "hunter2") == []
    assert files_with(workshop.jobs, "adm1n-s3cret") == [], "credentials go when the run is over"
    assert files_with(workshop.jobs, "k3y-of-a-machine") == []
    assert (workshop.jobs / job.number).stat().st_mode & 0o077 == 0


@any_database
def test_a_cloud_that_is_not_in_the_clouds_file_is_named(workshop: Workshop) -> None:
    workshop.order()
    worker = workshop.start()
    worker.clouds = {}
    job = workshop.ended()
    assert job.state == "failed"
    assert "in the clouds file" in job.error
