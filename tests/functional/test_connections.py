"""Secrets of a resource: drawn once, sealed, shown once, rotated, forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography.fernet import Fernet

from controlplane.audit import AuditEvent
from controlplane.cli import main
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.credentials.models import Credential
from controlplane.delivery import Run
from controlplane.errors import (
    ConfigurationMissing,
    Forbidden,
    InvalidInput,
    NotFound,
    StateConflict,
)
from tests.factories import City
from tests.functional.api_fixtures import make_api


def keyring_of(city: City) -> Keyring:
    return Keyring(city.control_plane.settings.credential_keys)


def rows(city: City, resource_id: str) -> dict[str, Credential]:
    """The resource's sealed secrets by state."""
    with city.control_plane.db.read() as session:
        found = session.scalars(sa.select(Credential).where(Credential.resource_id == resource_id))
        return {row.state: row for row in found}


def claimed(city: City, action: str) -> Run:
    """The next run, which must be of this action."""
    run = city.control_plane.delivery.claim("test:1")
    assert run is not None
    assert run.action == action
    return run


def show(city: City, resource_id: str, reason: str = "", login: str = "limin") -> str:
    connection = city.control_plane.connections.show(city.person(login), resource_id, reason)
    ((snippet, text),) = connection.snippets
    assert snippet.code == "uri"
    assert connection.secrets["password"] in text
    return connection.secrets["password"]


def test_every_try_of_an_order_is_given_the_same_secret(city: City) -> None:
    city.approve(city.submit())
    delivery = city.control_plane.delivery
    delivery.complete(claimed(city, "onboard"), {})
    first = claimed(city, "provision")
    delivery.fail(first, "no valid host")
    city.clock.advance(minutes=11)
    run = claimed(city, "provision")
    assert run.extravars["secrets"] == first.extravars["secrets"]
    assert len(run.extravars["secrets"]["password"]) == 24


def test_what_is_kept_is_sealed(city: City) -> None:
    resource_id = city.delivered()
    password = show(city, resource_id)
    sealed = rows(city, resource_id)["current"].sealed
    assert password not in sealed
    assert keyring_of(city).open(resource_id, "password", sealed) == password
    with pytest.raises(ConfigurationMissing, match="own"):
        keyring_of(city).open("another", "password", sealed)


def test_it_is_shown_once_and_again_only_for_a_reason_that_is_kept(city: City) -> None:
    resource_id = city.delivered()
    password = show(city, resource_id)
    with pytest.raises(InvalidInput) as refused:
        show(city, resource_id, "  ")
    assert [(f.code, f.field) for f in refused.value.faults] == [("reason_required", "reason")]
    with pytest.raises(InvalidInput):
        show(city, resource_id, "长" * 201)
    assert show(city, resource_id, "系统迁移重新配置") == password
    with city.control_plane.db.read() as session:
        events = session.scalars(
            sa.select(AuditEvent)
            .where(AuditEvent.event == "connection_shown")
            .order_by(AuditEvent.id)
        ).all()
    assert [(e.data["again"], e.data["reason"]) for e in events] == [
        (False, ""),
        (True, "系统迁移重新配置"),
    ]
    assert password not in str([e.data for e in events])


@pytest.mark.parametrize(
    ("login", "error"),
    [("zhaoguodong", NotFound), ("chengang", Forbidden), ("zhangjing", NotFound)],
)
def test_only_its_department_sees_it(city: City, login: str, error: type[Exception]) -> None:
    resource_id = city.delivered()
    with pytest.raises(error):
        show(city, resource_id, "想看看", login)
    assert rows(city, resource_id)["current"].shown_at is None


def test_before_the_delivery_and_after_the_end_there_is_nothing_to_show(city: City) -> None:
    request_id = city.submit()
    city.approve(request_id)
    with city.control_plane.db.read() as session:
        resource_id = session.scalars(sa.select(Credential.resource_id)).one()
    with pytest.raises(StateConflict):
        show(city, resource_id)
    city.deliver()
    show(city, resource_id)
    operations = city.control_plane.operations
    operations.retire_now(city.person("chengang"), resource_id, "低保核对系统")
    city.deliver()
    assert rows(city, resource_id) == {}
    with pytest.raises(StateConflict):
        show(city, resource_id, "还要用")


def test_a_rotation_has_both_valid_for_a_grace_time_and_then_ends_the_old(city: City) -> None:
    resource_id = city.delivered()
    old = show(city, resource_id)
    operations, delivery = city.control_plane.operations, city.control_plane.delivery
    operations.operate_resource(city.person("limin"), resource_id, "rotate", {})
    run = claimed(city, "rotate")
    new = run.extravars["secrets"]["password"]
    assert new != old
    assert run.extravars["previous_secrets"] == {"password": old}
    delivery.complete(run, {})
    assert show(city, resource_id) == new, "a new secret is shown once without a reason"
    assert set(rows(city, resource_id)) == {"current", "previous"}
    city.clock.advance(hours=23)
    assert operations.end_grace() == 0
    city.clock.advance(hours=1)
    assert operations.end_grace() == 1
    assert operations.end_grace() == 0, "it is under way"
    run = claimed(city, "revoke_previous")
    assert run.extravars["secrets"]["password"] == new
    delivery.complete(run, {})
    assert set(rows(city, resource_id)) == {"current"}
    assert operations.end_grace() == 0


def test_a_rotation_that_fails_leaves_the_old_secret_in_force(city: City) -> None:
    resource_id = city.delivered()
    old = show(city, resource_id)
    operations = city.control_plane.operations
    operations.operate_resource(city.person("limin"), resource_id, "rotate", {})
    assert set(city.fail_jobs()) == {"rotate"}
    assert show(city, resource_id, "核对") == old
    assert set(rows(city, resource_id)) == {"current"}
    operations.operate_resource(city.person("limin"), resource_id, "rotate", {})
    city.deliver()
    assert show(city, resource_id) != old


def test_nobody_starts_an_internal_action(city: City) -> None:
    resource_id = city.delivered()
    with pytest.raises(NotFound):
        city.control_plane.operations.operate_resource(
            city.person("limin"), resource_id, "revoke_previous", {}
        )


def test_a_build_that_fails_for_good_forgets_its_secret(city: City) -> None:
    city.approve(city.submit())
    city.control_plane.delivery.complete(claimed(city, "onboard"), {})
    city.fail_jobs()
    city.deliver()
    with city.control_plane.db.read() as session:
        assert session.scalars(sa.select(Credential)).all() == []


def test_a_run_without_the_key_says_so_and_is_tried_again(city: City) -> None:
    city.approve(city.submit())
    city.control_plane.delivery.complete(claimed(city, "onboard"), {})
    keys = city.control_plane.settings.credential_keys
    kept = keys.read_text()
    keys.write_text(Fernet.generate_key().decode())
    run = claimed(city, "provision")
    assert run.refusal is not None
    assert not run.refusal.is_final
    assert "the key that sealed password" in run.refusal.reason
    assert "secrets" not in run.extravars
    city.control_plane.delivery.fail(run, run.refusal.reason)
    keys.write_text(kept)
    city.clock.advance(minutes=11)
    assert claimed(city, "provision").extravars["secrets"]["password"]


def operator(city: City, *arguments: str) -> str:
    settings = city.control_plane.settings
    environment = {
        "CONTROLPLANE_VAR_DIR": str(settings.var_dir),
        "CONTROLPLANE_DATABASE_URL": settings.database,
        "CONTROLPLANE_PLAYBOOKS_DIR": str(settings.playbooks_dir),
    }
    done = CliRunner().invoke(main, list(arguments), env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_keys_are_rotated_without_losing_a_secret(city: City) -> None:
    resource_ids = [city.delivered() for _ in range(2)]
    passwords = [show(city, resource_id) for resource_id in resource_ids]
    keys = city.control_plane.settings.credential_keys
    before = keys.read_text().split()
    assert keys.stat().st_mode & 0o777 == 0o600
    assert "sealed 2 secrets anew" in operator(city, "keys", "rotate")
    assert keys.read_text().split()[1:] == before
    assert "1 old keys forgotten" in operator(city, "keys", "forget-old")
    assert len(keys.read_text().split()) == 1
    assert keys.stat().st_mode & 0o777 == 0o600
    assert [show(city, r, "换钥后核对") for r in resource_ids] == passwords


def test_sealing_anew_goes_on_where_it_was_ended(city: City) -> None:
    resource_ids = [city.delivered() for _ in range(3)]
    ring = keyring_of(city)
    ring.add_key()
    with city.control_plane.db.transaction() as session:
        assert credentials.reseal(session, ring, limit=2) == 2
    with city.control_plane.db.transaction() as session:
        assert credentials.reseal(session, ring, limit=2) == 1
    ring.forget_old_keys()
    assert len({show(city, r) for r in resource_ids}) == 3


@pytest.mark.parametrize(("content", "told"), [("", "empty"), ("no key at all\n", "well-formed")])
def test_a_broken_key_file_is_named(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "credential_keys"
    path.write_text(content)
    with pytest.raises(ConfigurationMissing, match=told):
        Keyring(path).seal("r", "password", "x")


def test_over_the_api_too(city: City) -> None:
    api = make_api(city)
    resource_id = city.delivered()
    path = f"/resources/{resource_id}/connection"
    shown = api.post("limin", path, {})
    assert shown.status_code == 200, shown.text
    assert shown.json["secrets"]["password"] in shown.json["snippets"][0]["text"]
    refused = api.post("limin", path, {})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["code"] == "reason_required"
    assert api.post("limin", path, {"reason": "迁移"}).json["secrets"] == shown.json["secrets"]
    assert (
        shown.json["secrets"]["password"] not in api.get("limin", f"/resources/{resource_id}").text
    )
