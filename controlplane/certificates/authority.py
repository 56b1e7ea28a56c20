"""The city's certificate authority: a root, the issuing authorities below it, and their keys.

A folder outside the database, as the keys that seal secrets are. The root's key is needed only to
make an issuing authority and the root's own list: it may be kept apart from this machine. Signing
is a computation of a millisecond, so it happens in the transaction that records it: what is signed
is on record, and what is revoked is on the list.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from controlplane.certificates.rules import BACKDATED, LIST_VALID, PublicKey
from controlplane.errors import ConfigurationMissing

ROOT = "root"
ROOT_YEARS, ISSUING_YEARS = 20, 6
#: The root's list is signed where its key is, by hand: it holds long.
ROOT_LIST_DAYS = 400
YEAR = timedelta(days=365)
COMMON_NAME_LIMIT = 64


@dataclass(frozen=True)
class Entry:
    """One entry of a revocation list; `reason` as `rules.Reason`."""

    serial: int
    revoked_at: datetime
    reason: str


@dataclass(frozen=True)
class Leaf:
    """What to sign: for whom, until when."""

    organisation: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    public_key: PublicKey
    not_after: datetime


class Authority:
    """`base_url` is where certificates say that lists and issuers are to be fetched."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder = folder
        self.base_url = base_url.rstrip("/")

    # --- making ---------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        return self.certificate_path(ROOT).is_file()

    def create(self, name: str, now: datetime) -> None:
        """A root and the first issuing authority: whole or not at all. Errors:
        ConfigurationMissing (there is one)."""
        if self.exists:
            raise ConfigurationMissing(what=f"an empty {self.folder}: it holds an authority")
        draft = Authority(
            self.folder.with_name(f"{self.folder.name}.{os.getpid()}.new"), self.base_url
        )
        shutil.rmtree(draft.folder, ignore_errors=True)
        draft.folder.mkdir(mode=0o700, parents=True)
        key = ec.generate_private_key(ec.SECP384R1())
        subject = _name(name, f"{name} Root CA {now.year}")
        root = (
            _authority_builder(subject, subject, key.public_key(), now, ROOT_YEARS, 1)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA384())
        )
        draft._keep(ROOT, root, key)
        draft.sign_root_list(now)
        draft.add_issuing(now)
        draft.folder.replace(self.folder)

    def add_issuing(self, now: datetime) -> str:
        """A new issuing authority, which signs from now on; those before it still sign their lists.

        Errors: ConfigurationMissing (the root's key is not here).
        """
        root, root_key = self.certificate(ROOT), self._key(ROOT)
        label = f"issuing-{len(self.issuing()) + 1}"
        organisation = str(root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
        subject = _name(organisation, f"{organisation} Issuing CA {label.rpartition('-')[2]}")
        key = ec.generate_private_key(ec.SECP384R1())
        builder = _authority_builder(subject, root.subject, key.public_key(), now, ISSUING_YEARS, 0)
        self._keep(
            label,
            self._located(builder, ROOT, root, key.public_key()).sign(root_key, hashes.SHA384()),
            key,
        )
        return label

    def _keep(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        """The key first: a certificate without one would be taken for an authority."""
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(self.folder / f"{label}.key", pem, 0o600)
        _write(self.certificate_path(label), certificate.public_bytes(Encoding.PEM), 0o644)

    # --- reading --------------------------------------------------------------------------------

    def certificate_path(self, label: str) -> Path:
        return self.folder / f"{label}.pem"

    def certificate(self, label: str) -> x509.Certificate:
        """Errors: ConfigurationMissing."""
        try:
            return x509.load_pem_x509_certificate(self.certificate_path(label).read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationMissing(
                what=f"the certificate authority's {label}.pem (`controlplane ca init`): {error}"
            ) from error

    def issuing(self) -> list[str]:
        """Issuing authorities, the one that signs now last."""
        found = self.folder.glob("issuing-*.pem")
        return sorted((p.stem for p in found), key=lambda s: int(s.rpartition("-")[2]))

    @property
    def current(self) -> str:
        """The issuing authority that signs. Errors: ConfigurationMissing."""
        labels = self.issuing()
        if not labels:
            raise ConfigurationMissing(what="a certificate authority: `controlplane ca init`")
        return labels[-1]

    def issuer_of(self, certificate: x509.Certificate) -> str | None:
        """The issuing authority of ours that signed it."""
        for label in self.issuing():
            try:
                certificate.verify_directly_issued_by(self.certificate(label))
            except (InvalidSignature, TypeError, ValueError):
                continue
            return label
        return None

    def chain_pem(self, label: str) -> str:
        """An issuing authority's certificate: what a server sends behind its own."""
        return self.certificate(label).public_bytes(Encoding.PEM).decode()

    @property
    def root_pem(self) -> str:
        return self.certificate(ROOT).public_bytes(Encoding.PEM).decode()

    def can_sign(self) -> bool:
        labels = self.issuing()
        return bool(labels) and self.has_key(labels[-1])

    def has_key(self, label: str) -> bool:
        return (self.folder / f"{label}.key").is_file()

    def _key(self, label: str) -> ec.EllipticCurvePrivateKey:
        try:
            pem = (self.folder / f"{label}.key").read_bytes()
            key = load_pem_private_key(pem, None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationMissing(
                what=f"the certificate authority's {label}.key: {error}"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationMissing(what=f"an elliptic-curve key in {label}.key")
        return key

    @property
    def root_list_ends(self) -> datetime:
        """Errors: ConfigurationMissing."""
        try:
            signed = x509.load_der_x509_crl((self.folder / "root.crl").read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationMissing(what=f"the root's list, root.crl: {error}") from error
        return signed.next_update_utc or signed.last_update_utc

    # --- signing --------------------------------------------------------------------------------

    def sign(self, leaf: Leaf, now: datetime) -> x509.Certificate:
        """A server's certificate: nothing of a request but its key and its checked names goes in.

        It never outlives the authority that signs it. Errors: ConfigurationMissing.
        """
        label = self.current
        issuer = self.certificate(label)
        common = next((n for n in leaf.names if len(n) <= COMMON_NAME_LIMIT), "")
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in leaf.names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in leaf.addresses]
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(leaf.organisation, common))
            .issuer_name(issuer.subject)
            .public_key(leaf.public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(leaf.not_after, issuer.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_leaf_usage(leaf.public_key), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        )
        located = self._located(builder, label, issuer, leaf.public_key)
        return located.sign(self._key(label), hashes.SHA384())

    def sign_list(self, label: str, entries: Iterable[Entry], number: int, now: datetime) -> bytes:
        """The DER of an issuing authority's revocation list. Errors: ConfigurationMissing."""
        return self._sign_list(label, entries, number, now, LIST_VALID)

    def sign_root_list(self, now: datetime) -> None:
        """The root's own list, beside its certificate; its number is the second of its making, so
        that it grows. Errors: ConfigurationMissing."""
        valid = timedelta(days=ROOT_LIST_DAYS)
        der = self._sign_list(ROOT, (), int(now.timestamp()), now, valid)
        _write(self.folder / "root.crl", der, 0o644)

    def _sign_list(
        self, label: str, entries: Iterable[Entry], number: int, now: datetime, valid: timedelta
    ) -> bytes:
        issuer = self.certificate(label)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(now)
            .next_update(now + valid)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_issuer_key(issuer), critical=False)
        )
        for entry in entries:
            reason = x509.CRLReason(getattr(x509.ReasonFlags, entry.reason))
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(entry.serial)
                .revocation_date(entry.revoked_at)
                .add_extension(reason, critical=False)
                .build()
            )
        signed = builder.sign(self._key(label), hashes.SHA384())
        return signed.public_bytes(Encoding.DER)

    def _located(
        self,
        builder: x509.CertificateBuilder,
        label: str,
        issuer: x509.Certificate,
        key: PublicKey,
    ) -> x509.CertificateBuilder:
        """With the key identifiers of both sides, and where issuer and list are fetched."""
        place = f"{self.base_url}/pki/{label}"
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(f"{place}.crt")
        )
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(f"{place}.crl")], None, None, None
        )
        return (
            builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_issuer_key(issuer), critical=False)
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
        )


def new_key() -> ec.EllipticCurvePrivateKey:
    """A service's key where the department brings no request."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _name(organisation: str, common: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64])]
    if common:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common[:COMMON_NAME_LIMIT]))
    return x509.Name(parts)


def _authority_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    years: int,
    path_length: int,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + years * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
    )


def _leaf_usage(key: PublicKey) -> x509.KeyUsage:
    encipher = isinstance(key, rsa.RSAPublicKey)  # TLS 1.2 without forward secrecy, RSA only
    return x509.KeyUsage(True, False, encipher, False, False, False, False, False, False)


def _issuer_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and a key readable by nobody else from its first byte on."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
