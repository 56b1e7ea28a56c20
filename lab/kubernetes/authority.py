"""The cluster's own certificate authority, and what it signs."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
#: A certificate with less left is made anew at the next start.
RENEWAL_DAYS = 90


@dataclass(frozen=True)
class Subject:
    """Whom a certificate is for; one with `hosts` (names or addresses) also serves."""

    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()

    def name(self) -> x509.Name:
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)]
        if self.organization:
            parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization))
        return x509.Name(parts)


@dataclass(frozen=True)
class Authority:
    """The authority in `folder`: `ca.crt`, `ca.key`, and a pair for each subject."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of `name`."""
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def ensure(self, subjects: dict[str, Subject]) -> None:
        """Makes the authority if there is none, and every pair that is missing, soon out of date
        or for another subject than wanted."""
        if not self.certificate.exists():
            self._make_authority()
        for name, subject in subjects.items():
            if not self._is_good(name, subject):
                self._issue(name, subject)

    def _make_authority(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = Subject("lab-kubernetes").name()
        made = (
            _builder(name, name, key, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_key(self.key, key)
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _is_good(self, name: str, subject: Subject) -> bool:
        certificate, key = self.pair(name)
        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (OSError, ValueError):
            return False
        left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        return (
            key.exists()
            and left.days >= RENEWAL_DAYS
            and found.subject == subject.name()
            and _hosts_of(found) == set(subject.hosts)
        )

    def _issue(self, name: str, subject: Subject) -> None:
        signer = serialization.load_pem_private_key(self.key.read_bytes(), None)
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes()).subject
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _builder(subject.name(), issuer, key, CERTIFICATE_DAYS).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        if subject.hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            names = x509.SubjectAlternativeName(map(_general_name, subject.hosts))
            builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate_file, key_file = self.pair(name)
        _write_key(key_file, key)
        made = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]  # an EC key
        certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def ensure_token_keys(private: Path, public: Path) -> None:
    """The pair that signs service accounts' tokens; tokens end with it, so it is never renewed."""
    if private.exists() and public.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(private, key)
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # a machine's clock may be set back
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts_of(certificate: x509.Certificate) -> set[str]:
    try:
        names: Iterable[x509.GeneralName] = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
