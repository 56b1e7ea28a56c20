"""The shared servers' certificates and inventory, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from lab import settings
from lab.services import authority, debian, shared
from lab.services.endpoints import Endpoint, endpoints, inventory
from lab.unprivileged import User

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HERE = (IPv4Address("127.0.0.1"),)
NOBODY_ELSE = User()


def days(count: int) -> timedelta:
    return timedelta(days=count)


def certify(
    pair: authority.Pair,
    folder: Path,
    now: datetime = NOW,
    addresses: tuple[IPv4Address, ...] = HERE,
) -> bool:
    return authority.certify(pair, "redis", addresses, folder, NOBODY_ELSE, now)


def certificate(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())


def test_an_authority_stays_until_it_would_end_before_what_it_signs(tmp_path: Path) -> None:
    first = authority.ensure(tmp_path, NOW)
    assert authority.ensure(tmp_path, NOW + days(3000)).certificate == first.certificate
    assert authority.ensure(tmp_path, NOW + days(3300)).certificate != first.certificate


def test_a_certificate_is_made_once_and_anew_before_its_end(tmp_path: Path) -> None:
    pair = authority.ensure(tmp_path / "authority", NOW)
    assert certify(pair, tmp_path / "tls")
    assert not certify(pair, tmp_path / "tls", NOW + days(366))
    assert certify(pair, tmp_path / "tls", NOW + days(368))
    assert certificate(tmp_path / "tls").not_valid_after_utc == NOW + days(368 + 397)


def test_a_certificate_of_another_authority_or_for_another_address_is_made_anew(
    tmp_path: Path,
) -> None:
    pair = authority.ensure(tmp_path / "authority", NOW)
    other = authority.ensure(tmp_path / "other", NOW)
    assert certify(other, tmp_path / "tls")
    assert certify(pair, tmp_path / "tls")
    assert certify(pair, tmp_path / "tls", addresses=(*HERE, IPv4Address("172.30.75.2")))
    assert not certify(pair, tmp_path / "tls", addresses=(*HERE, IPv4Address("172.30.75.2")))


@pytest.mark.parametrize("broken", ["server.key", "server.crt"])
def test_half_of_a_pair_or_a_broken_one_is_made_anew(tmp_path: Path, broken: str) -> None:
    pair = authority.ensure(tmp_path / "authority", NOW)
    certify(pair, tmp_path / "tls")
    (tmp_path / "tls" / broken).write_text("not a pair any more", encoding="ascii")
    assert certify(pair, tmp_path / "tls")
    (tmp_path / "tls" / broken).unlink()
    assert certify(pair, tmp_path / "tls")


def test_keys_are_their_owners_alone_and_the_authority_is_everybodys(tmp_path: Path) -> None:
    certify(authority.ensure(tmp_path / "authority", NOW), tmp_path / "tls")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.*")}
    assert (modes["ca.key"], modes["server.key"], modes["server.crt"]) == (0o600, 0o600, 0o600)
    assert (tmp_path / "authority" / "ca.crt").stat().st_mode & 0o777 == 0o644


def test_the_inventory_has_a_host_for_each_engine_and_no_password() -> None:
    ca_file, secret = "/lab/ca.crt", "/lab/redis/password"
    found = Endpoint("redis", "127.0.0.1", 21012, None, ca_file, "admin", secret, "/lab/tools")
    hosts = inventory([found])["all"]["children"]["shared_services"]["hosts"]
    assert hosts["shared_redis"]["service_address"] == "127.0.0.1"
    assert hosts["shared_redis"]["service_admin_password_file"] == secret
    assert "service_management_port" not in hosts["shared_redis"]


def test_nothing_is_there_before_the_first_start_and_asking_makes_nothing(tmp_path: Path) -> None:
    lab = settings.load(environment={"LAB_HOME": str(tmp_path / "lab")})
    assert endpoints(lab) == []
    assert shared.status(shared.ENGINES, lab) == []
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("mariadb-server-core", True),
        ("libmariadb3", True),
        ("erlang-base", True),
        ("libssl3", False),
        ("perl", False),
    ],
)
def test_all_parts_of_an_engine_are_unpacked_from_one_release(name: str, is_own: bool) -> None:
    assert bool(debian.OWN.match(name)) is is_own
