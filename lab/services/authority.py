"""The lab's own small certificate authority, and the certificates of its servers.

In a folder of its own: `ca.crt`, which clients are given, and `ca.key`, which only the launcher
reads. In each server's state: `server.crt`, `server.key` and a copy of `ca.crt`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.unprivileged import User

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
#: A certificate this close to its end is made anew at the next start.
RENEW_DAYS = 30
#: Clocks of clients may be behind ours.
BACKDATED = timedelta(hours=1)
HOST = "localhost"
PRIVATE, PUBLIC = 0o600, 0o644


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def is_good(self, now: datetime, days: int) -> bool:
        """Whether both belong together and the certificate holds for `days` more."""
        together = self.certificate.public_key() == self.key.public_key()
        return together and self.certificate.not_valid_after_utc > now + timedelta(days=days)


def ensure(folder: Path, now: datetime | None = None) -> Pair:
    """The authority of `folder`, made where there is none.

    One that would end before a certificate it signs is replaced: then all servers' are made anew.
    """
    now = now or datetime.now(UTC)
    found = _read(folder / "ca.crt", folder / "ca.key")
    if found is not None and found.is_good(now, SERVER_DAYS + RENEW_DAYS):
        return found
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    made = _make_authority(now)
    _write(folder / "ca.key", _pem(made.key), PRIVATE)
    _write(folder / "ca.crt", _certificate_pem(made), PUBLIC)
    return made


def certify(
    authority: Pair,
    name: str,
    addresses: Sequence[IPv4Address],
    folder: Path,
    user: User,
    now: datetime | None = None,
) -> bool:
    """Sees to a good certificate in `folder`, which `user` owns, for the server `name` as clients
    reach it: by HOST, or at one of `addresses`.

    Returns whether one was made: there was none, or it ends soon, another authority signed it, or
    it is for other addresses.
    """
    now = now or datetime.now(UTC)
    names = _names(addresses)
    found = _read(folder / "server.crt", folder / "server.key")
    if (
        found is not None
        and found.is_good(now, RENEW_DAYS)
        and _signed_by(authority, found)
        and _is_for(found, names)
    ):
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    user.give(folder)
    made = _make_server(authority, name, names, now)
    _write(folder / "ca.crt", _certificate_pem(authority), PRIVATE, user)
    _write(folder / "server.key", _pem(made.key), PRIVATE, user)
    _write(folder / "server.crt", _certificate_pem(made), PRIVATE, user)
    return True


def _read(certificate: Path, key: Path) -> Pair | None:
    """None for what is not there or cannot be understood: it is made anew."""
    try:
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            return None
        return Pair(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _signed_by(authority: Pair, pair: Pair) -> bool:
    try:
        pair.certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(addresses: Sequence[IPv4Address]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.DNSName(HOST), *(x509.IPAddress(address) for address in addresses)]
    )


def _is_for(pair: Pair, names: x509.SubjectAlternativeName) -> bool:
    extensions = pair.certificate.extensions
    return extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names


def _make_authority(now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Each has a name of its own: two copies of the lab may be known to one client.
    name = _name(f"Lab certificate authority {secrets.token_hex(4)}")
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def _make_server(
    authority: Pair, name: str, names: x509.SubjectAlternativeName, now: datetime
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.key.public_key()
    subject, signer = _name(f"Lab {name}"), authority.certificate.subject
    builder = (
        _builder(subject, signer, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(pair: Pair) -> bytes:
    return pair.certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int, user: User | None = None) -> None:
    """The file is whole or as before, and at no moment readable for more than `mode` says."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.chmod(mode)
    if user is not None:
        user.give(fresh)
    fresh.rename(path)
