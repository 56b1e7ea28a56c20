"""Backups as rows, jobs and files: due once, kept as long as said, gone for good, proven."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from controlplane.audit import AuditEvent
from controlplane.backup_jobs import start_backup
from controlplane.backups.models import Backup
from controlplane.backups.store import BackupStore
from controlplane.cli import main
from controlplane.credentials.keyring import Keyring
from controlplane.errors import (
    BackupUnusable,
    Forbidden,
    InvalidInput,
    NotFound,
    ResourceBusy,
    StateConflict,
)
from controlplane.metering.models import UsageInterval
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Resource
from controlplane.provisioning.service import LeaseLost
from tests.functional.concurrently import at_once
from tests.functional.depot import Depot


def night(depot: Depot, hours: float = 5) -> None:
    """Time goes on, and the ticks see it."""
    depot.city.clock.advance(hours=hours)
    custody = depot.control_plane.custody
    custody.back_up_due()
    depot.carry_out()
    custody.drill_due()
    depot.carry_out()
    custody.delete_expired()


# --- taking -------------------------------------------------------------------------------------


def test_every_night_one_backup_is_taken_and_kept(depot: Depot) -> None:
    resource_id = depot.database()
    assert depot.control_plane.custody.back_up_due() == 0, "its first night is ahead"
    night(depot)
    (backup,) = depot.backups(resource_id)
    assert (backup.kind, backup.state) == ("schedule", "kept")
    assert backup.retained_until is not None
    assert backup.finished_at is not None
    assert (backup.retained_until - backup.finished_at).days == 7
    assert depot.archives() == [f"{backup.number}.age"]
    assert depot.control_plane.custody.back_up_due() == 0
    night(depot, hours=24)
    assert len(depot.backups(resource_id)) == 2


def test_many_missed_nights_are_one_backup(depot: Depot) -> None:
    resource_id = depot.database()
    depot.city.clock.advance(days=9)
    assert depot.control_plane.custody.back_up_due() == 1
    depot.carry_out()
    assert depot.control_plane.custody.back_up_due() == 0
    assert len(depot.backups(resource_id)) == 1


def test_two_leaders_at_once_order_a_night_s_backup_once(depot: Depot) -> None:
    resource_id = depot.database()
    depot.city.clock.advance(hours=6)
    started = at_once([depot.control_plane.custody.back_up_due] * 4)
    assert sum(n for n in started if isinstance(n, int)) == 1
    assert len(depot.backups(resource_id)) == 1
    assert len(depot.jobs("backup")) == 1


def test_a_crash_while_ordering_leaves_nothing_and_the_next_tick_orders(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource_id = depot.database()
    depot.city.clock.advance(hours=6)

    def ordered_and_killed(*args: object, **kwargs: object) -> None:
        start_backup(*args, **kwargs)  # type: ignore[arg-type]
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("controlplane.custody.start_backup", ordered_and_killed)
        with pytest.raises(SystemExit):
            depot.control_plane.custody.back_up_due()
    assert depot.backups(resource_id) == []
    assert depot.jobs("backup") == []
    assert depot.control_plane.custody.back_up_due() == 1


def test_a_busy_resource_is_backed_up_when_it_is_free(depot: Depot) -> None:
    resource_id = depot.database()
    operate = depot.control_plane.operations.operate_resource
    operate(depot.city.person("limin"), resource_id, "rotate_password", {})
    depot.city.clock.advance(hours=6)
    assert depot.control_plane.custody.back_up_due() == 0
    depot.carry_out()
    assert depot.control_plane.custody.back_up_due() == 1


def test_one_asks_for_a_backup_now_and_for_one_at_a_time(depot: Depot) -> None:
    resource_id = depot.database()
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    before = depot.resource(resource_id).outputs
    number = recovery.back_up_now(person, resource_id)
    with pytest.raises(ResourceBusy):
        recovery.back_up_now(person, resource_id)
    depot.carry_out()
    (backup,) = depot.backups(resource_id)
    assert (backup.number, backup.kind, backup.state) == (number, "manual", "kept")
    assert depot.resource(resource_id).outputs == before, "a backup changes nothing of the resource"


def test_the_play_that_takes_a_backup_has_no_key_that_opens_it(depot: Depot) -> None:
    resource_id = depot.database()
    depot.backed_up(resource_id)
    given = depot.runs[-1].extravars["archive"]
    assert given["recipient"].startswith("age1")
    assert "AGE-SECRET-KEY" not in str(depot.runs[-1].extravars)
    (backup,) = depot.backups(resource_id)
    assert "AGE-SECRET" not in backup.sealed_key


def test_a_backup_that_fails_says_so_and_may_be_tried_again(depot: Depot) -> None:
    resource_id = depot.database()
    depot.control_plane.recovery.back_up_now(depot.city.person("limin"), resource_id)
    depot.fail_all("the backup store cannot be written: No space left on device")
    (backup,) = depot.backups(resource_id)
    assert backup.state == "failed"
    assert "No space left" in backup.error
    (job,) = depot.jobs("backup")
    depot.control_plane.operations.retry_job(depot.city.person("chengang"), job.id)
    depot.carry_out()
    assert [b.state for b in depot.backups(resource_id)] == ["kept"]


def test_a_worker_killed_in_the_middle_is_followed_by_one_that_takes_the_same_backup(
    depot: Depot,
) -> None:
    resource_id = depot.database()
    depot.city.clock.advance(hours=6)
    depot.control_plane.custody.back_up_due()
    killed = next(depot.runs_waiting())
    path = Path(killed.extravars["archive"]["path"])
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.name}.4711.part").write_bytes(b"half")
    depot.city.clock.advance(minutes=5)  # its lease has lapsed; nobody has told how it ended
    assert depot.control_plane.custody.back_up_due() == 0
    (again,) = depot.runs_waiting()
    assert again.was_taken_before
    assert again.extravars["archive"] == killed.extravars["archive"], "the same archive and key"
    outputs = depot.outputs(again)
    with pytest.raises(LeaseLost):
        depot.control_plane.delivery.complete(killed, outputs)
    depot.control_plane.delivery.complete(again, outputs)
    (backup,) = depot.backups(resource_id)
    assert (backup.state, backup.kind) == ("kept", "schedule")


def test_what_a_backup_that_was_given_up_left_is_swept_away(depot: Depot) -> None:
    resource_id = depot.database()
    depot.control_plane.recovery.back_up_now(depot.city.person("limin"), resource_id)
    run = next(depot.runs_waiting())
    path = Path(run.extravars["archive"]["path"])
    path.parent.mkdir(parents=True)
    path.with_name(f".{path.name}.4711.part").write_bytes(b"half")
    depot.control_plane.delivery.fail(run, "its worker died at every try", final=True)
    depot.control_plane.custody.delete_expired()
    assert depot.archives() == []


def test_a_run_that_moves_data_may_take_as_long_as_they_are_big(depot: Depot) -> None:
    number = depot.backed_up(depot.database())
    depot.database(restore_from=number)
    limits = {run.action: run.timeout_seconds for run in depot.runs}
    assert limits == {"provision": 240 * 60, "backup": 240 * 60}
    assert depot.runs[0].timeout_seconds == 900, "an empty database is not waited for"


def test_nobody_backs_up_what_is_not_theirs(depot: Depot) -> None:
    resource_id = depot.database()
    recovery = depot.control_plane.recovery
    with pytest.raises(NotFound):
        recovery.back_up_now(depot.city.person("zhaoguodong"), resource_id)
    with pytest.raises(Forbidden):
        recovery.back_up_now(depot.city.person("sunli"), resource_id)


def test_a_department_chooses_another_hour_and_another_time_to_keep(depot: Depot) -> None:
    resource_id = depot.database()
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    with pytest.raises(InvalidInput) as refused:
        recovery.change_schedule(person, resource_id, "25:00", 0)
    assert {fault.field for fault in refused.value.faults} == {"daily_at", "keep_days"}
    recovery.change_schedule(person, resource_id, "22:30", 30)
    recovery.change_schedule(person, resource_id, "23:30", 31)
    depot.city.clock.advance(hours=2, minutes=29)
    assert depot.control_plane.custody.back_up_due() == 0
    depot.city.clock.advance(minutes=1)
    assert depot.control_plane.custody.back_up_due() == 1
    assert depot.backups(resource_id)[0].keep_days == 31


# --- retention ----------------------------------------------------------------------------------


def test_when_its_time_is_over_the_archive_is_gone_and_its_key_too(depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    depot.city.clock.advance(days=7, seconds=-1)
    assert depot.control_plane.custody.delete_expired() == 0
    depot.city.clock.advance(seconds=1)
    assert depot.control_plane.custody.delete_expired() == 1
    assert depot.archives() == []
    (backup,) = depot.backups(resource_id)
    assert (backup.state, backup.sealed_key) == ("deleted", "")
    assert backup.deleted_at == depot.city.clock()
    assert depot.control_plane.custody.delete_expired() == 0
    with depot.control_plane.db.read() as session:
        told = session.scalars(
            sa.select(AuditEvent.data).where(AuditEvent.event == "backup_deleted")
        ).all()
    assert [data["backup"] for data in told] == [number]


def test_a_deletion_ended_half_way_is_finished_by_the_next(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    depot.city.clock.advance(days=8)

    def killed(*_: object) -> None:
        raise SystemExit

    recovery = depot.control_plane.recovery
    with monkeypatch.context() as patched:
        patched.setattr(BackupStore, "remove", killed)
        with pytest.raises(SystemExit):
            depot.control_plane.custody.delete_expired()
    assert depot.archives() == [f"{number}.age"]
    with pytest.raises(BackupUnusable):  # nobody restores what is half gone
        recovery.restore_in_place(depot.city.person("limin"), resource_id, number, "低保")
    assert depot.control_plane.custody.delete_expired() == 1
    assert depot.archives() == []


def test_an_open_request_keeps_the_backup_that_it_names(depot: Depot) -> None:
    number = depot.backed_up(depot.database())
    form = {"system_name": "低保", "plan": "small", "database_name": "dibao"}
    asked = Ask("postgresql", "provision", "internet", {**form, "restore_from": number})
    pipeline = depot.control_plane.pipeline
    request_id = pipeline.submit_request(depot.city.person("limin"), asked)
    depot.city.clock.advance(days=8)
    assert depot.control_plane.custody.delete_expired() == 0
    depot.city.decide("zhangjing", request_id)
    assert depot.carry_out() == ["provision"]
    assert depot.runs[-1].extravars["archive"]["number"] == number
    assert depot.control_plane.custody.delete_expired() == 1


def test_the_check_names_an_archive_that_is_not_there_as_it_was(depot: Depot) -> None:
    number = depot.backed_up(depot.database())
    archive = Path(depot.runs[-1].extravars["archive"]["path"])
    settings = depot.control_plane.settings
    environment = {
        "CONTROLPLANE_VAR_DIR": str(settings.var_dir),
        "CONTROLPLANE_DATABASE_URL": settings.database_url,
    }
    good = CliRunner().invoke(main, ["check"], env=environment)
    assert good.exit_code == 0, good.output
    assert "1 kept backups" in good.output
    archive.write_bytes(b"short")
    assert f"backup {number}: " in CliRunner().invoke(main, ["check"], env=environment).output
    archive.unlink()
    missing = CliRunner().invoke(main, ["check"], env=environment)
    assert missing.exit_code == 1
    assert "is not in the store" in missing.output


def test_keys_of_backups_are_sealed_anew_with_everything_else(depot: Depot) -> None:
    resource_id = depot.database()
    depot.backed_up(resource_id)
    keyring = Keyring(depot.control_plane.settings.credential_keys)
    keyring.add_key()
    before = depot.backups(resource_id)[0].sealed_key
    settings = depot.control_plane.settings
    environment = {
        "CONTROLPLANE_VAR_DIR": str(settings.var_dir),
        "CONTROLPLANE_DATABASE_URL": settings.database_url,
    }
    done = CliRunner().invoke(main, ["keys", "forget-old"], env=environment)
    assert done.exit_code == 0, done.output
    (backup,) = depot.backups(resource_id)
    assert backup.sealed_key != before
    assert keyring.open(resource_id, backup.number, backup.sealed_key).startswith("AGE-SECRET-KEY")


def test_archives_are_metered_until_they_are_gone_also_after_their_resource(depot: Depot) -> None:
    resource_id = depot.database()

    def metered() -> dict[str, int]:
        with depot.control_plane.db.read() as session:
            rows = sa.select(UsageInterval.item, UsageInterval.quantity).where(
                UsageInterval.resource_id == resource_id, UsageInterval.t1.is_(None)
            )
            return {row.item: row.quantity for row in session.execute(rows)}

    held = metered()
    assert held == {"vcpu": 1, "memory_mib": 512, "storage_gib.standard": 5}
    depot.city.clock.advance(hours=1)
    depot.backed_up(resource_id)
    assert metered() == {**held, "storage_gib.backup": 1}, "a begun GiB counts as one"
    depot.control_plane.operations.retire_now(depot.city.person("chengang"), resource_id, "低保")
    depot.carry_out()
    assert metered() == {"storage_gib.backup": 1}
    depot.city.clock.advance(days=31)
    assert depot.control_plane.custody.delete_expired() == 2
    assert metered() == {}


# --- restoring ----------------------------------------------------------------------------------


def test_a_restore_in_place_backs_up_first_and_only_then_restores(depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    with pytest.raises(InvalidInput):
        recovery.restore_in_place(person, resource_id, number, "别的名称")
    recovery.restore_in_place(person, resource_id, number, "低保")
    assert depot.carry_out() == ["backup", "restore"]
    assert depot.runs[-1].extravars["archive"]["number"] == number
    assert [b.state for b in depot.backups(resource_id)] == ["kept", "kept"]


def test_nothing_is_restored_where_the_present_could_not_be_backed_up(depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    depot.control_plane.recovery.restore_in_place(
        depot.city.person("limin"), resource_id, number, "低保"
    )
    backup_run = next(depot.runs_waiting())
    depot.control_plane.delivery.fail(backup_run, "pg_dump failed", final=True)
    assert depot.carry_out() == []
    (job,) = depot.jobs("restore")
    assert job.state == "failed"
    assert "could not be backed up first" in job.error
    assert depot.resource(resource_id).state == "active"


def test_an_archive_that_is_missing_or_cut_is_refused_at_once(depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    archive = Path(depot.runs[-1].extravars["archive"]["path"])
    restore = depot.control_plane.recovery.restore_in_place
    archive.write_bytes(b"short")
    with pytest.raises(BackupUnusable):
        restore(depot.city.person("limin"), resource_id, number, "低保")
    archive.unlink()
    with pytest.raises(BackupUnusable):
        restore(depot.city.person("limin"), resource_id, number, "低保")
    assert depot.jobs("restore") == []


def test_another_department_s_backup_is_not_there(depot: Depot) -> None:
    number = depot.backed_up(depot.database())
    theirs = depot.database("zhaoguodong")
    person = depot.city.person("zhaoguodong")
    with pytest.raises(NotFound):
        depot.control_plane.recovery.restore_in_place(person, theirs, number, "低保")
    form = {"system_name": "低保", "plan": "small", "database_name": "dibao"}
    asked = Ask("postgresql", "provision", "internet", {**form, "restore_from": number})
    preparation = depot.control_plane.pipeline.prepare(person, asked)
    assert [(f.code, f.field) for f in preparation.faults] == [("field_choice", "restore_from")]


def test_a_backup_goes_back_to_a_plan_of_its_own_kind_only(depot: Depot) -> None:
    """Shared servers and those of one's own may be of other versions."""
    source = depot.database()
    number, there = depot.backed_up(source), depot.database()
    form = {"system_name": "低保", "plan": "small", "database_name": "dibao"}
    asked = Ask("postgresql", "provision", "internet", {**form, "restore_from": number})

    def faults(ask: Ask) -> list[tuple[str, str]]:
        preparation = depot.control_plane.pipeline.prepare(depot.city.person("limin"), ask)
        return [(fault.field, fault.code) for fault in preparation.faults]

    assert faults(asked) == []
    with depot.control_plane.db.transaction() as session:
        row = session.get_one(Resource, source)
        row.spec = {**row.spec, "plan": {**row.spec["plan"], "engine": "kubernetes"}}
    assert faults(asked) == [("restore_from", "backup_of_other_kind")]
    with pytest.raises(BackupUnusable):
        depot.control_plane.recovery.restore_in_place(
            depot.city.person("limin"), there, number, "低保"
        )
    clone = Ask(
        "postgresql",
        "provision",
        "internet",
        {**form, "plan": "own_small", "clone_of": depot.resource(there).number},
    )
    assert faults(clone) == [("plan", "engine_absent")], "a shared one is cloned to any plan"
    back = Ask(
        "postgresql",
        "provision",
        "internet",
        {**form, "clone_of": depot.resource(source).number},
    )
    assert faults(back) == [("clone_of", "clone_of_other_kind")]


def test_a_backup_under_another_s_key_is_not_run(depot: Depot) -> None:
    resource_id = depot.database()
    number = depot.backed_up(resource_id)
    with depot.control_plane.db.transaction() as session:
        backup = session.scalars(sa.select(Backup).where(Backup.number == number)).one()
        keyring = Keyring(depot.control_plane.settings.credential_keys)
        backup.sealed_key = keyring.seal("another", number, "AGE-SECRET-KEY-1")
    depot.control_plane.recovery.restore_in_place(
        depot.city.person("limin"), resource_id, number, "低保"
    )
    assert depot.carry_out() == ["backup"]
    assert "of resource" in depot.jobs("restore")[0].error


def test_two_instances_exchange_their_data_and_nothing_else_begins_meanwhile(depot: Depot) -> None:
    one, other = depot.database(), depot.database()
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    recovery.exchange(person, one, other, "低保")
    with pytest.raises(ResourceBusy):
        recovery.back_up_now(person, one)
    with pytest.raises(StateConflict):
        recovery.back_up_now(person, other)
    assert depot.carry_out() == ["exchange"]
    assert depot.runs[-1].extravars["related"]["other"]["resource_id"] == other
    assert {depot.resource(r).state for r in (one, other)} == {"active"}


def test_an_exchange_that_fails_sets_the_other_free(depot: Depot) -> None:
    one, other = depot.database(), depot.database()
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    recovery.exchange(person, one, other, "低保")
    depot.fail_all("clients keep connecting to the database; nothing was exchanged")
    assert depot.resource(other).state == "active"
    (job,) = depot.jobs("exchange")
    depot.control_plane.operations.retry_job(depot.city.person("chengang"), job.id)
    assert depot.carry_out() == ["exchange"]
    assert depot.resource(other).state == "active"


def test_only_two_of_a_kind_change_places(depot: Depot) -> None:
    ours, theirs = depot.database(), depot.database("zhaoguodong")
    recovery, person = depot.control_plane.recovery, depot.city.person("limin")
    with pytest.raises(InvalidInput):
        recovery.exchange(person, ours, ours, "低保")
    with pytest.raises(NotFound):
        recovery.exchange(person, ours, theirs, "低保")


# --- the end of a resource ----------------------------------------------------------------------


def retired(depot: Depot) -> str:
    """A database whose grace period is over, before its last backup."""
    resource_id = depot.database()
    depot.control_plane.operations.retire_resource(depot.city.person("limin"), resource_id, "低保")
    assert depot.carry_out() == ["power_off"]
    depot.city.clock.advance(days=7)
    assert depot.control_plane.operations.destroy_due() == 1
    return resource_id


def test_a_last_backup_outlives_what_it_was_taken_from(depot: Depot) -> None:
    resource_id = retired(depot)
    assert depot.carry_out() == ["backup", "retire"]
    assert depot.resource(resource_id).state == "retired"
    (backup,) = depot.backups(resource_id)
    assert (backup.kind, backup.state, backup.keep_days) == ("last", "kept", 30)
    depot.city.clock.advance(days=29)
    assert depot.control_plane.custody.delete_expired() == 0
    assert depot.database(restore_from=backup.number)
    assert depot.runs[-1].extravars["archive"]["number"] == backup.number
    depot.city.clock.advance(days=2)
    assert depot.control_plane.custody.delete_expired() == 1
    assert depot.archives() == []


def test_where_the_last_backup_fails_the_destruction_waits(depot: Depot) -> None:
    resource_id = retired(depot)
    depot.fail_all("pg_dump failed")
    assert depot.resource(resource_id).state == "destroying"
    assert depot.jobs("retire") == []
    assert depot.control_plane.operations.destroy_due() == 0
    (job,) = depot.jobs("backup")
    depot.control_plane.operations.retry_job(depot.city.person("chengang"), job.id)
    assert depot.carry_out() == ["backup", "retire"]
    assert depot.resource(resource_id).state == "retired"


def test_an_engineer_may_destroy_what_cannot_be_backed_up(depot: Depot) -> None:
    resource_id = retired(depot)
    operations, engineer = depot.control_plane.operations, depot.city.person("chengang")
    with pytest.raises(ResourceBusy):
        operations.retire_now(engineer, resource_id, "低保")
    depot.fail_all("pg_dump failed")
    with pytest.raises(InvalidInput):
        operations.retire_now(engineer, resource_id, "别的")
    operations.retire_now(engineer, resource_id, "低保")
    assert depot.carry_out() == ["retire"]
    assert depot.resource(resource_id).state == "retired"


# --- drills -------------------------------------------------------------------------------------


def test_the_first_backup_is_proven_the_same_night_and_then_each_quarter(depot: Depot) -> None:
    resource_id = depot.database()
    night(depot)
    assert depot.drills(resource_id) == []
    night(depot, hours=2)
    (drill,) = depot.drills(resource_id)
    assert (drill.result, drill.rows_compared, drill.recovery_time_seconds) == ("passed", 3, 1.5)
    assert drill.recovery_point_seconds == 2 * 3600
    night(depot, hours=24)
    assert len(depot.drills(resource_id)) == 1
    depot.city.clock.advance(days=40)  # the next quarter
    night(depot, hours=0)
    assert len(depot.drills(resource_id)) == 2


def test_a_drill_that_finds_a_difference_proves_nothing_and_is_repeated(depot: Depot) -> None:
    resource_id = depot.database()
    night(depot)
    depot.differences = ["table public.household has 2 rows, not 3"]
    night(depot, hours=2)
    depot.differences = []
    assert [d.result for d in depot.drills(resource_id)] == ["failed"]
    assert "2 rows" in depot.drills(resource_id)[0].difference
    assert depot.control_plane.custody.drill_due() == 0
    night(depot, hours=24)
    assert [d.result for d in depot.drills(resource_id)] == ["failed", "passed"]


def test_an_engineer_proves_a_backup_at_any_time(depot: Depot) -> None:
    resource_id = depot.database()
    recovery, engineer = depot.control_plane.recovery, depot.city.person("chengang")
    with pytest.raises(BackupUnusable):
        recovery.drill_now(engineer, resource_id)
    depot.backed_up(resource_id)
    with pytest.raises(Forbidden):
        recovery.drill_now(depot.city.person("limin"), resource_id)
    recovery.drill_now(engineer, resource_id)
    depot.fail_all("pg_restore failed")
    assert [d.result for d in depot.drills(resource_id)] == ["failed"]
    recovery.drill_now(engineer, resource_id)
    depot.carry_out()
    assert [d.result for d in depot.drills(resource_id)] == ["failed", "passed"]
