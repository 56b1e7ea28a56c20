"""What runs on a machine with its server: which disk may be formatted, what is written, SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.module_utils import machines
from ansible_collections.egov.databases.plugins.modules import mariadb_machine, postgresql_machine

BLANK = bytes(64 * 1024)
WANTED = {
    "volume_id": "5c0e7c1e-8a3b-4e53-9a0e-5f4f6c1d2e3f",
    "port": 1234,
    "admin_user": "egov_admin",
    "max_connections": 110,
    "log_gib": 0,
    "settings": "[mariadbd]\n",
    "server_key": "the key",
    "server_certificate": "the certificate",
}
SERVERS = [mariadb_machine.MariaDB, postgresql_machine.PostgreSQL]


def with_bytes(at: int, found: bytes) -> bytes:
    return BLANK[:at] + found + BLANK[at + len(found) :]


@pytest.mark.parametrize(
    ("head", "blank", "ext4"),
    [
        (BLANK, True, False),
        (with_bytes(1024 + 56, b"\x53\xef"), False, True),
        (with_bytes(0, b"XFSB"), False, False),
        (with_bytes(510, b"\x55\xaa"), False, False),
        (with_bytes(64 * 1024 - 1, b"\x01"), False, False),
    ],
)
def test_only_a_blank_disk_is_formatted_and_only_ext4_is_mounted(
    head: bytes, blank: bool, ext4: bool
) -> None:
    assert (machines.is_blank(head), machines.is_ext4(head)) == (blank, ext4)


@pytest.fixture
def module() -> Any:
    return SimpleNamespace(params=WANTED)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_second_run_finds_every_file_as_it_shall_be(
    kind: type[machines.Machine], module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    monkeypatch.setattr(machines, "MOUNT", tmp_path)
    monkeypatch.setattr(machines, "SERVICES", tmp_path / "service")
    first, second = kind(module), kind(module)
    first.home.mkdir()
    assert first.write_files()
    assert (first.home / "tls.key").stat().st_mode & 0o777 == 0o600
    assert not second.write_files()
    assert second.done == []
    module.params = {**WANTED, "server_certificate": "another"}
    third = kind(module)
    third.write_files()
    assert third.done == ["tls.crt written"], "and the server is told to read it"


def test_a_mariadb_keeps_a_log_where_it_is_archived_and_starts_again_for_it(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    monkeypatch.setattr(machines, "MOUNT", tmp_path)
    monkeypatch.setattr(machines, "SERVICES", tmp_path / "service")
    monkeypatch.setattr(mariadb_machine, "LOG", tmp_path / "log")
    server = mariadb_machine.MariaDB(module)
    server.home.mkdir()
    server.write_files()
    configured = server.home / "my.cnf"
    assert "log-bin" not in configured.read_text()
    module.params = {**WANTED, "log_gib": 4}
    assert mariadb_machine.MariaDB(module).write_files()
    own, _, included = configured.read_text().partition("!include")
    assert f"\nlog-bin = {tmp_path / 'log'}/binlog\n" in own
    assert f"\ninit-file = {server.home / 'log-bound.sql'}\n" in own
    assert (server.home / "log-bound.sql").exists()
    assert (tmp_path / "log").is_dir()
    assert included


def test_a_system_disk_without_room_for_the_log_is_told_of(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_json(msg: str, **_: Any) -> None:
        raise AssertionError(msg)

    monkeypatch.setattr(mariadb_machine, "LOG", tmp_path / "log")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=64 << 20))
    module.fail_json = fail_json
    with pytest.raises(AssertionError, match="64 MiB free; the binary log may take 2048 MiB"):
        mariadb_machine.MariaDB(module).make_log_folder(4)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_starts_with_memory_of_its_machine_on_its_volume(
    kind: type[machines.Machine], module: Any
) -> None:
    server = kind(module)
    head = machines.VOLUME_THERE.format(serial=server.serial, mount=machines.MOUNT)
    assert 'grep -l "^5c0e7c1e-8a3b-4e53-9"' in head
    grows = machines.VOLUME_GROWS.format(serial=server.serial, mount=machines.MOUNT)
    assert 'grep -l "^5c0e7c1e-8a3b-4e53-9"' in grows
    script = server.start_script()
    assert "memory_kib" in head
    assert "memory_kib" in script
    assert str(server.home) in script
    assert "{" not in script.replace("${", ""), "everything is filled in"


def test_the_administrators_password_is_nobody_elses_at_any_moment(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    left_behind = tmp_path / "admin-password"
    left_behind.write_text("of a run that was killed")
    monkeypatch.setattr("shutil.chown", lambda path, *_: modes.append(path.stat().st_mode & 0o777))
    monkeypatch.setattr(machines, "RUN", tmp_path)
    module.params = {**WANTED, "admin_password": "secret"}
    server = postgresql_machine.PostgreSQL(module)
    read: list[str] = []
    monkeypatch.setattr(server, "as_user", lambda *_: read.append(left_behind.read_text()))
    server.fill(tmp_path / "draft")
    assert (modes, read) == ([0o600], ["secret"])
    assert not left_behind.exists()


@pytest.mark.parametrize(
    ("password", "literal"), [("plain9", "plain9"), ("it's", "it''s"), ("a\\'b", "a\\\\''b")]
)
def test_no_password_ends_its_literal(password: str, literal: str) -> None:
    assert mariadb_machine.quoted(password) == literal
