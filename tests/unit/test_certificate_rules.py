"""Which names a department may have certified, and what a request must be: every fault at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from controlplane.certificates.authority import new_key
from controlplane.certificates.rules import (
    Entitlement,
    key_id,
    list_is_due,
    order_faults,
    owner_of,
    read_order,
    renewal_is_due,
    served_at,
    shown_state,
)
from tests.functional.registry import make_request

DOMAINS = ("city.example", "laoshan.city.example", "education.laoshan.city.example")
LAOSHAN = Entitlement(
    "laoshan.city.example",
    DOMAINS,
    ("10.1.0.4", "2001:db8::1"),
    taken={"used.laoshan.city.example": "R-2026-000001"},
)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def codes(entitled: Entitlement = LAOSHAN, **spec: str) -> list[tuple[str, str]]:
    return [(f.code, f.field) for f in order_faults(spec, entitled)]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("www.laoshan.city.example", "laoshan.city.example"),
        ("laoshan.city.example", "laoshan.city.example"),
        ("a.education.laoshan.city.example", "education.laoshan.city.example"),
        ("education.laoshan.city.example", "education.laoshan.city.example"),
        ("xlaoshan.city.example", "city.example"),
        ("city.example.evil.example", None),
        ("example", None),
    ],
)
def test_a_name_falls_to_the_longest_domain_it_ends_in(name: str, owner: str | None) -> None:
    assert owner_of(name, DOMAINS) == owner


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("www.laoshan.city.example", None),
        ("WWW.Laoshan.City.Example", None),
        ("www.city.example", "certificate_name_foreign"),
        ("school.education.laoshan.city.example", "certificate_name_foreign"),
        ("www.evil.example", "certificate_name_foreign"),
        ("*.laoshan.city.example", "certificate_wildcard"),
        ("laoshan", "certificate_name_malformed"),
        ("市.laoshan.city.example", "certificate_name_malformed"),
        ("-a.laoshan.city.example", "certificate_name_malformed"),
        ("a..laoshan.city.example", "certificate_name_malformed"),
        ("a_b.laoshan.city.example", "certificate_name_malformed"),
        (f"{'a' * 64}.laoshan.city.example", "certificate_name_malformed"),
        ("10.1.0.4", "certificate_name_malformed"),
        ("a.laoshan.city.example'; drop--", "certificate_name_malformed"),
        ("ops@laoshan.city.example", "certificate_name_malformed"),
        ("wpad.laoshan.city.example", "certificate_name_reserved"),
        ("localhost.laoshan.city.example", "certificate_name_reserved"),
        ("a.wpad.laoshan.city.example", None),
        ("wpad.city.example", "certificate_name_foreign"),
        ("used.laoshan.city.example", "certificate_name_taken"),
    ],
)
def test_names_are_denied_unless_they_are_the_departments(name: str, code: str | None) -> None:
    assert [c for c, _ in codes(dns_names=name)][:1] == ([code] if code else [])


def test_a_department_without_a_domain_has_no_names() -> None:
    nobody = Entitlement(None, DOMAINS, ())
    assert codes(nobody, dns_names="www.city.example") == [("certificate_no_domain", "dns_names")]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.1.0.4", None),
        ("2001:db8:0:0::1", None),
        ("10.1.0.5", "certificate_address_foreign"),
        ("127.0.0.1", "certificate_address_foreign"),
        ("10.1.0.0/24", "certificate_address_malformed"),
        ("host", "certificate_address_malformed"),
    ],
)
def test_addresses_are_those_of_the_departments_machines(address: str, code: str | None) -> None:
    expected = [(code, "ip_addresses")] if code else []
    assert codes(ip_addresses=address) == expected


@pytest.mark.parametrize(
    ("address", "names", "addresses"),
    [
        ("10.1.0.4", ("a.example", "b.example"), ("10.1.0.4",)),
        ("2001:db8::1", ("a.example", "b.example"), ("2001:db8::1",)),
        ("Cluster.example", ("a.example", "b.example", "cluster.example"), ()),
        ("a.example", ("a.example", "b.example"), ()),
        ("", ("a.example", "b.example"), ()),
    ],
)
def test_what_is_served_is_certified_where_the_cloud_answers_too(
    address: str, names: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    wanted = served_at(("a.example", "b.example"), address)
    assert (wanted.names, wanted.addresses, wanted.public_key) == (names, addresses, None)


def test_every_fault_is_named_at_once() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    request = make_request("www.evil.example", common="*.city.example", key=weak, ca=True)
    found = codes(
        dns_names="ok.laoshan.city.example\nno", ip_addresses="1.1.1.1", certificate_request=request
    )
    assert sorted(code for code, _ in found) == [
        "certificate_address_foreign",
        "certificate_key_weak",
        "certificate_name_foreign",
        "certificate_name_malformed",
        "certificate_of_authority",
        "certificate_wildcard",
    ]


def test_names_are_needed_and_bounded() -> None:
    assert codes() == [("certificate_without_names", "dns_names")]
    many = "\n".join(f"n{i}.laoshan.city.example" for i in range(51))
    assert codes(dns_names=many) == [("field_too_many", "dns_names")]


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_a_request_brings_its_key_and_its_names(key: Any) -> None:
    request = make_request("b.laoshan.city.example", common="a.laoshan.city.example", key=key)
    assert codes(certificate_request=request) == []
    asked, _ = read_order({"dns_names": "c.laoshan.city.example", "certificate_request": request})
    assert asked.names == (
        "c.laoshan.city.example",
        "a.laoshan.city.example",
        "b.laoshan.city.example",
    )
    assert asked.public_key is not None
    assert key_id(asked.public_key) == key_id(key.public_key())


@pytest.mark.parametrize("text", ["x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END"])
def test_what_is_no_request_is_said_so(text: str) -> None:
    found = codes(dns_names="a.laoshan.city.example", certificate_request=text)
    assert found == [("certificate_request_unreadable", "certificate_request")]


def test_a_request_that_was_tampered_with_is_refused() -> None:
    pem = make_request("a.laoshan.city.example").splitlines()
    body = "".join(pem[1:-1])
    import base64

    der = base64.b64decode(body).replace(b"a.laoshan", b"b.laoshan")
    forged = f"{pem[0]}\n{base64.encodebytes(der).decode()}{pem[-1]}\n"
    found = codes(certificate_request=forged)
    assert found == [("certificate_request_not_signed", "certificate_request")]


def test_a_key_that_leaked_is_never_taken_again() -> None:
    key = new_key()
    leaked = Entitlement(LAOSHAN.own, DOMAINS, (), {key_id(key.public_key())})
    request = make_request("a.laoshan.city.example", key=key)
    assert codes(leaked, certificate_request=request) == [
        ("certificate_key_compromised", "certificate_request")
    ]


def test_an_odd_curve_is_no_key_for_a_server() -> None:
    odd = make_request("a.laoshan.city.example", key=ec.generate_private_key(ec.SECP256K1()))
    assert codes(certificate_request=odd) == [("certificate_key_weak", "certificate_request")]


def test_edwards_keys_are_named_by_their_content() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    assert len(key_id(key)) == 64


@pytest.mark.parametrize(("days", "due"), [(31, False), (30, True), (1, True), (-1, True)])
def test_renewal_is_due_thirty_days_before_the_end(days: int, due: bool) -> None:
    assert renewal_is_due(NOW + timedelta(days=days), NOW) is due


def test_a_list_is_signed_anew_each_day() -> None:
    assert list_is_due(None, NOW)
    assert not list_is_due(NOW - timedelta(hours=23), NOW)
    assert list_is_due(NOW - timedelta(hours=24), NOW)


@pytest.mark.parametrize(
    ("state", "days", "shown"),
    [
        ("valid", 1, "valid"),
        ("valid", -1, "expired"),
        ("held", -1, "expired"),
        ("revoked", -1, "revoked"),
    ],
)
def test_what_has_ended_is_told_so(state: str, days: int, shown: str) -> None:
    assert shown_state(state, NOW + timedelta(days=days), NOW) == shown
