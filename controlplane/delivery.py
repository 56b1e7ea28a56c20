"""The journey as machines go it: a job's run begins, beats, and ends well or badly.

Every method is one transaction; the cloud is called between them, never inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import backup_jobs, certificate_jobs
from controlplane.access import Login
from controlplane.admission.models import Pool
from controlplane.bad_ends import BadEnds
from controlplane.catalogue.services import Action
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.rules import CredentialState, account_secret, is_of
from controlplane.db import Database
from controlplane.errors import ConfigurationMissing
from controlplane.good_ends import GoodEnds
from controlplane.jobs import service_of
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import Job
from controlplane.provisioning.rules import (
    JobState,
    retry_delay,
)
from controlplane.provisioning.service import Step
from controlplane.standing import refusal_at_run
from controlplane.supplying import supplies, way_into_machine
from controlplane.telling import extravars

#: How long a job waits whose service this process does not know.
UNKNOWN_SERVICE_SECONDS = 60


@dataclass(frozen=True)
class Refusal:
    """Why a claimed job is not to be run; `is_final`: no later try can help."""

    reason: str
    is_final: bool


@dataclass(frozen=True)
class Run:
    """A claimed job with all that its playbook run needs; holds no database row.

    `was_taken_before`: an earlier worker may have left its run behind. `refusal`: the job is not to
    be run but to be failed, once nothing of it runs any more.
    """

    job_id: int
    job_number: str
    fence: int
    attempt: int
    service: str
    action: str
    playbook: str
    cloud: str
    project: str
    extravars: Mapping[str, Any]
    proves_login: bool
    timeout_seconds: int
    issues_secrets: bool = False
    was_taken_before: bool = False
    refusal: Refusal | None = None
    #: Of the machine that is configured, where it is one.
    login: Login | None = None

    @property
    def never_began(self) -> bool:
        """Refused before any worker ran it: nothing of it is on the cloud."""
        return self.refusal is not None and not self.was_taken_before


class Delivery:
    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock
        self.good_ends = GoodEnds(catalogue, settings, clock)
        self.bad_ends = BadEnds(catalogue, settings, clock)

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.settings.job_lease_seconds)

    # --- a run ----------------------------------------------------------------------------------

    def claim(self, worker: str) -> Run | None:
        """The next job that may run, or is to be given up, now ours; None when nothing waits."""
        now = self.clock()
        while True:
            with self.db.transaction() as session:
                job = provisioning.claim_job(session, worker=worker, lease=self._lease, now=now)
                if job is None:
                    return None
                if not self._is_known(job):
                    self._put_off(job)
                    continue
                return self._run_of(session, job)

    def _is_known(self, job: Job) -> bool:
        return job.resource is None or service_of(self.catalogue, job) is not None

    def _put_off(self, job: Job) -> None:
        """This process does not know the service (a newer one may): no reason to give it up, and
        none to stand in the way of other jobs."""
        job.attempt -= 1
        later = self.clock() + timedelta(seconds=UNKNOWN_SERVICE_SECONDS)
        provisioning.retry_job(job, later, f"service {job.service} is not in the catalogue")

    def take_over_from_dead(self, is_dead: Callable[[str], bool]) -> int:
        """At a worker's start: jobs of workers known to be dead need not wait for their lease."""
        with self.db.transaction() as session:
            dead = {w for w in provisioning.workers_running(session) if is_dead(w)}
            return provisioning.lapse_leases(session, dead, self.clock()) if dead else 0

    def beat(self, run: Run) -> bool:
        """Prolongs the lease; returns whether the job shall be cancelled. Errors: LeaseLost."""
        with self.db.transaction() as session:
            return provisioning.heartbeat(
                session, run.job_id, run.fence, lease=self._lease, now=self.clock()
            )

    def note_process(self, run: Run, host: str, pgid: int) -> None:
        with self.db.transaction() as session:
            provisioning.note_process(session, run.job_id, run.fence, host=host, pgid=pgid)

    def record_steps(self, run: Run, steps: Iterable[Step]) -> None:
        with self.db.transaction() as session:
            provisioning.record_steps(session, run.job_id, run.attempt, steps)

    def _run_of(self, session: Session, job: Job) -> Run:
        site = job.site
        assert site is not None
        pool = (
            session.get_one(Pool, job.resource.pool_code)
            if job.resource
            else session.scalars(
                sa.select(Pool).where(Pool.zone == site.zone, Pool.cloud == site.cloud)
            ).first()
        )
        action = self._action(job)
        secrets, missing_key = self._secrets(session, job, action)
        archive, no_archive = self._archive(session, job)
        given, lack = supplies(session, self.settings, self.catalogue, job)
        other_id = job.payload.get("other_id") or archive.get("source", {}).get("resource_id")
        way_in = way_into_machine(session, self.settings, job, self.clock(), other_id)
        login, machine, closed = way_in
        lack = lack or closed
        lacking = Refusal(lack, is_final=False) if lack else None
        refusal = (
            _end_of(job) or _no_base(session, job, action) or missing_key or no_archive or lacking
        )
        certificate: dict[str, Any] = {}
        if refusal is None:
            certificate, refusal = self._certificate(session, job, action)
        return Run(
            job_id=job.id,
            job_number=job.number,
            fence=job.fence,
            attempt=job.attempt,
            service=job.service,
            action=job.action,
            playbook=job.playbook,
            cloud=site.cloud,
            project=site.project,
            extravars=extravars(session, self.catalogue, job, site, pool)
            | secrets
            | archive
            | given
            | machine
            | certificate,
            login=login,
            proves_login=bool(action and action.kind == "create" and job.service == "vm"),
            timeout_seconds=self._timeout_seconds(bool(archive)),
            issues_secrets=self._issues_secrets(job, action),
            was_taken_before=_was_taken_before(job),
            refusal=refusal,
        )

    def _certificate(
        self, session: Session, job: Job, action: Action | None
    ) -> tuple[dict[str, Any], Refusal | None]:
        """What the run is told of the certificate it is for; or why there can be none."""
        told, reason = certificate_jobs.begin(session, self.settings, job, action, self.clock())
        return told, Refusal(reason, is_final=True) if reason else None

    def _timeout_seconds(self, moves_data: bool) -> int:
        """How long a run may take: one that dumps or restores takes as long as the data are big."""
        if moves_data:
            return self.settings.backup_timeout_minutes * 60
        return self.settings.job_timeout_seconds

    def _archive(self, session: Session, job: Job) -> tuple[dict[str, Any], Refusal | None]:
        """`archive`, where the job takes or restores a backup; or why not."""
        action = self._action(job)
        kind = action.kind if action else ""
        archive, reason = backup_jobs.begin(session, self.settings, job, kind)
        return archive, Refusal(reason, is_final=False) if reason else None

    def _secrets(
        self, session: Session, job: Job, action: Action | None
    ) -> tuple[dict[str, Any], Refusal | None]:
        """`secrets` that shall be in force after the run and `previous_secrets`; or why not."""
        if job.resource is None:
            return {}, None
        keyring = Keyring(self.settings.credential_keys)
        try:
            opened = credentials.open_all(session, keyring, job.resource.id)
        except ConfigurationMissing as missing:
            reason = f"this deployment lacks {missing.params['what']}"
            return {}, Refusal(reason, is_final=False)
        service = service_of(self.catalogue, job) or self.catalogue.of(job.resource)

        def of(state: CredentialState) -> dict[str, str]:
            secrets = opened.get(state, {})
            told = service.drawn(name for name in secrets if name in service.secrets)
            return {name: secrets[name] for name in told if is_of(name, "")}

        current, previous = of(CredentialState.CURRENT), of(CredentialState.PREVIOUS)
        if action is not None and action.draws_for:
            name = account_secret(job.payload["inputs"][action.draws_for])
            drawn_for_it = opened.get(CredentialState.NEXT, {}).get(name)
            if drawn_for_it is None:  # forgotten when an earlier try had failed for good
                return {}, Refusal("its secret is not kept any more; ask again", is_final=True)
            current["account"] = drawn_for_it
        if action is not None and action.rotates:
            drawn = of(CredentialState.NEXT)
            return {"secrets": {**current, **drawn}, "previous_secrets": current}, None
        return {"secrets": current, "previous_secrets": previous}, None

    def _issues_secrets(self, job: Job, action: Action | None) -> bool:
        service = service_of(self.catalogue, job)
        if service is None or action is None:
            return False
        brings = service.secrets if action.kind == "create" else action.rotates
        return any(name in service.issued_secrets for name in brings)

    def _action(self, job: Job) -> Action | None:
        service = service_of(self.catalogue, job)
        return service.action(job.action) if service else None

    # --- the end: what follows is in `good_ends` and `bad_ends` ----------------------------------

    def complete(
        self, run: Run, outputs: Mapping[str, Any], secrets: Mapping[str, str] | None = None
    ) -> None:
        """The playbook did its work, and the cloud drew these secrets for it.

        Errors: LeaseLost, and then nothing is changed.
        """
        with self.db.transaction() as session:
            job = provisioning.lock_running_job(session, run.job_id, run.fence)
            provisioning.end_job(job, JobState.SUCCEEDED, self.clock())
            self.good_ends.follow(session, job, outputs, secrets or {})

    def fail(self, run: Run, error: str, *, cancelled: bool = False, final: bool = False) -> bool:
        """The run went wrong: another try later, or the end; returns whether it is the end.

        `final`: trying again the same way cannot help (the playbook itself is broken).
        Errors: LeaseLost.
        """
        now = self.clock()
        with self.db.transaction() as session:
            job = provisioning.lock_running_job(session, run.job_id, run.fence)
            if not cancelled and not final and job.attempt < job.attempts_max:
                delay = retry_delay(job.attempt, self.settings.job_retry_base_seconds)
                provisioning.retry_job(job, now + delay, error)
                return False
            provisioning.end_job(job, _bad_end(job, cancelled), now, error)
            self.bad_ends.follow(session, job, error, began=not run.never_began)
            return True

    def wait_for_cloud(self, run: Run, error: str) -> bool:
        """The cloud does not answer at all: this try does not count, the job waits for the cloud.

        After `cloud_patience_hours` of a job's life its tries count again, as in `fail`; returns
        whether it is the end. Errors: LeaseLost.
        """
        now = self.clock()
        with self.db.transaction() as session:
            job = provisioning.lock_running_job(session, run.job_id, run.fence)
            if now - job.created_at < timedelta(hours=self.settings.cloud_patience_hours):
                delay = retry_delay(job.attempt, self.settings.job_retry_base_seconds)
                job.attempts_max += 1
                provisioning.retry_job(job, now + delay, error)
                return False
        return self.fail(run, error)


def _was_taken_before(job: Job) -> bool:
    """Whether a worker had the job before the one that has it now: it may have done something."""
    return job.fence > 1


def _no_base(session: Session, job: Job, action: Action | None) -> Refusal | None:
    """What stands on what forbids it; only a destruction may be tried again later."""
    kind = action.kind if action else ""
    reason = refusal_at_run(session, job, kind)
    return Refusal(reason, is_final=kind != "retire") if reason else None


def _end_of(job: Job) -> Refusal | None:
    """Whether a claimed job has come to its end without a run."""
    if job.cancel_asked:
        return Refusal("cancelled", is_final=True)
    if job.attempt > job.attempts_max:
        return Refusal("its worker died at every try", is_final=True)
    return None


def _bad_end(job: Job, cancelled: bool) -> JobState:
    return JobState.CANCELLED if cancelled or job.cancel_asked else JobState.FAILED
