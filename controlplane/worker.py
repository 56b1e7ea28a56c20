"""Delivers jobs in this process: claims what may run, runs its playbook, tells how it ended.

One dispatcher thread claims; each run has a thread of its own, at most `playbook_runs_max` at once.
The database row decides who runs, so any number of workers on any number of hosts do no harm.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from controlplane.access import Access, with_machine
from controlplane.config import Settings
from controlplane.delivery import Delivery, Run
from controlplane.errors import CloudRefused, CloudUnavailable, DomainError
from controlplane.proving import Proof
from controlplane.provisioning.runner import PlaybookRun, RunResult, end_stale_run
from controlplane.provisioning.service import JOB_QUEUED, LeaseLost

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
IDLE_SECONDS = 0.5


class Cloud(Protocol):
    """What a worker asks of a cloud's driver."""

    def run_access(self, project: str) -> Access:
        """How a run gets in: as the platform, and as the department in its `project`.

        Errors: CloudUnavailable, CloudRefused.
        """

    def check(self, service: str) -> None:
        """Errors: CloudUnavailable when nothing answers that `service` could be delivered by."""


@runtime_checkable
class ProvesMachines(Protocol):
    """A cloud whose resources are machines that can be asked who they are."""

    def prove_machine(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Waits until the delivered machine shows its own host key over SSH; returns what was
        proven, to be kept with the resource. Errors: CloudUnavailable."""


@runtime_checkable
class IssuesSecrets(Protocol):
    """A cloud that draws some secrets itself, which no playbook is to see."""

    def issued_secrets(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """The secrets, by name, of what a run has delivered. Errors: CloudUnavailable."""


@runtime_checkable
class HasServers(Protocol):
    """A cloud of servers that several resources share."""

    def server_of(self, service: str) -> Mapping[str, Any]:
        """The way into that of a service, as an inventory names it. Errors: CloudUnavailable,
        CloudRefused."""


@dataclass(frozen=True)
class Identity:
    """Who this worker is, for the job row."""

    host: str
    name: str


def this_worker() -> Identity:
    host = socket.gethostname()
    return Identity(host, f"{host}:{os.getpid()}")


class Worker:
    """`start()` returns at once; `stop()` lets no new run begin and hands running ones on."""

    def __init__(self, delivery: Delivery, settings: Settings, clouds: Mapping[str, Cloud]) -> None:
        self.delivery = delivery
        self.settings = settings
        self.clouds = clouds
        self.identity = this_worker()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._slots = threading.Semaphore(settings.playbook_runs_max)
        self._threads: set[threading.Thread] = set()
        self._dispatcher: threading.Thread | None = None

    def start(self) -> None:
        taken = self.delivery.take_over_from_dead(self._is_dead)
        if taken:
            log.warning("%s jobs of a dead worker of this host will be tried again", taken)
        self.delivery.db.listen(JOB_QUEUED, self.wake)
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatch", daemon=True)
        self._dispatcher.start()

    def wake(self) -> None:
        """Something was decided: look now, not at the next idle tick."""
        self._woken.set()

    def stop(self, patience_seconds: float = 10.0) -> None:
        self._stopping.set()
        self._woken.set()
        deadline = time.monotonic() + patience_seconds
        if self._dispatcher is not None:
            _join([self._dispatcher], deadline)
        # Only now: until the dispatcher has ended there may be a thread that is yet to be started.
        _join(list(self._threads), deadline)

    def _is_dead(self, worker: str) -> bool:
        """Only a worker of this very host can be known to be dead."""
        host, _, pid = worker.rpartition(":")
        if host != self.identity.host or worker == self.identity.name or not pid.isdecimal():
            return False
        return not Path("/proc", pid).exists()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            if not self._slots.acquire(timeout=IDLE_SECONDS):
                continue
            run = self._claim()
            if run is None:
                self._slots.release()
                self._woken.wait(IDLE_SECONDS)
                self._woken.clear()
                continue
            thread = threading.Thread(target=self._carry_out, args=(run,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _claim(self) -> Run | None:
        try:
            return self.delivery.claim(self.identity.name)
        except Exception:
            log.exception("claiming a job failed; trying again")
            self._stopping.wait(IDLE_SECONDS)
            return None

    def _carry_out(self, run: Run) -> None:
        try:
            self._run(run)
        except LeaseLost:
            log.warning("job %s is not ours any more; dropped", run.job_number)
        except DomainError as error:
            self._failed(run, error)
        except Exception as error:
            log.exception("job %s", run.job_number)
            self._failed(run, error)
        finally:
            self._threads.discard(threading.current_thread())
            self._slots.release()
            self.wake()

    def _failed(self, run: Run, error: Exception) -> None:
        reason = error.params.get("reason", "") if isinstance(error, DomainError) else ""
        said = str(reason) or repr(error)
        try:
            self.delivery.fail(run, said)
        except LeaseLost:
            log.warning("job %s is not ours any more; dropped", run.job_number)
        except Exception:
            log.exception("job %s: failure not noted; its lease will lapse", run.job_number)

    # --- one run --------------------------------------------------------------------------------

    def _run(self, run: Run) -> None:
        folder = self.settings.jobs_dir / run.job_number
        if run.was_taken_before and end_stale_run(folder):
            log.warning("job %s: ended what a dead worker had left running", run.job_number)
        if run.refusal is not None:
            self.delivery.fail(run, run.refusal.reason, final=run.refusal.is_final)
            return
        cloud = self.clouds.get(run.cloud)
        if cloud is None:
            raise CloudRefused(reason=f"no cloud {run.cloud} in the clouds file")
        if not (self.settings.playbooks_dir / run.playbook).is_file():
            self.delivery.fail(run, f"there is no playbook playbooks/{run.playbook}", final=True)
            return
        try:
            access = cloud.run_access(run.project)
        except CloudUnavailable as silence:
            said = f"the cloud {run.cloud} does not answer: {silence.params['reason']}"
            self.delivery.wait_for_cloud(run, said)
            return
        extravars = self.with_source(run.extravars)
        if run.login is not None:
            tools, log_tools = self.settings.machine_tools, self.settings.machine_log_tools
            access = with_machine(access, run.login, tools, log_tools)
        playbook_run = PlaybookRun(
            folder=folder,
            playbooks_dir=self.settings.playbooks_dir,
            playbook=run.playbook,
            attempt=run.attempt,
            extravars=extravars,
            access=access,
            timeout_seconds=run.timeout_seconds,
        )
        pgid = playbook_run.start()
        proof = self._proof_of(run, cloud)
        try:
            self.delivery.note_process(run, self.identity.host, pgid)
            cancelled = self._watch(run, playbook_run, proof)
        except BaseException:
            playbook_run.end()
            raise
        if cancelled:
            playbook_run.end()
            self.delivery.record_steps(run, playbook_run.poll()[1])
        result = playbook_run.result()
        if cancelled:
            self.delivery.fail(run, "cancelled", cancelled=True)
        elif result.ok:
            self._complete(run, cloud, proof, result)
            playbook_run.leave()
        elif result.is_broken:
            self.delivery.fail(run, result.error, final=True)
        else:
            self._try_again(run, cloud, result.error)

    def with_source(self, extravars: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the way into the server of what is cloned, where that is in another cloud.

        Errors: CloudUnavailable, CloudRefused.
        """
        source = extravars.get("source", {})
        if "cloud" not in source:
            return extravars
        cloud: object = self.clouds.get(source["cloud"])
        if isinstance(cloud, HasServers):
            server = cloud.server_of(source["service"])
            return {**extravars, "source": {**source, "server": server}}
        raise CloudRefused(reason=f"no servers in the cloud {source['cloud']}")

    def _proof_of(self, run: Run, cloud: Cloud) -> Proof | None:
        if not (run.proves_login and self.settings.machines_answer):
            return None
        return Proof(cloud.prove_machine) if isinstance(cloud, ProvesMachines) else None

    def _try_again(self, run: Run, cloud: Cloud, error: str) -> None:
        """A run that failed because there is no cloud to ask says nothing about the order."""
        try:
            cloud.check(run.service)
        except CloudUnavailable as silence:
            said = f"the cloud {run.cloud} does not answer: {silence.params['reason']}\n{error}"
            self.delivery.wait_for_cloud(run, said)
        else:
            self.delivery.fail(run, error)

    def _watch(self, run: Run, playbook_run: PlaybookRun, proof: Proof | None) -> bool:
        """Follows a run to its end, beating; returns whether it shall be cancelled instead.

        The proof begins as soon as the playbook has said where the machine is: the run itself takes
        a while longer to end.
        """
        beat_every = self.settings.job_lease_seconds / 3
        next_beat = time.monotonic() + beat_every
        while True:
            running, steps = playbook_run.poll()
            if proof is not None and playbook_run.outputs and not proof.has_begun:
                steps = [*steps, proof.begin(playbook_run.outputs)]
            if steps:
                self.delivery.record_steps(run, steps)
            if not running:
                return False
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + beat_every
                if self.delivery.beat(run):
                    return True
            time.sleep(POLL_SECONDS)

    def _complete(self, run: Run, cloud: Cloud, proof: Proof | None, result: RunResult) -> None:
        outputs = dict(result.outputs)
        if proof is not None and proof.has_begun:
            while not proof.is_over(self.settings.job_lease_seconds / 3):
                if self.delivery.beat(run):
                    self.delivery.fail(run, "cancelled", cancelled=True)
                    return
            self.delivery.record_steps(run, [proof.step])
            outputs |= proof.result()
        secrets: dict[str, str] = {}
        if run.issues_secrets and isinstance(cloud, IssuesSecrets):
            secrets = cloud.issued_secrets(outputs)
        self.delivery.complete(run, outputs, secrets)


def _join(running: Iterable[threading.Thread], deadline: float) -> None:
    for thread in running:
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
