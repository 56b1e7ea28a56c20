"""What a server proves itself with: a key, and a certificate that our authority signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: Clocks of clients that are behind ours take it too.
BACKDATED = timedelta(minutes=5)
#: What of a certificate's days may be left until another is drawn.
LEFT_SHARE = 3


def is_near_its_end(certificate: bytes, days: int) -> bool:
    """Whether a third or less is left of the days that such a certificate, PEM, holds."""
    ends_at = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    return ends_at - datetime.now(UTC) <= timedelta(days=days) / LEFT_SHARE


def made_identity(
    authority: tuple[bytes, bytes], dns: str, address: str, days: int
) -> tuple[str, str]:
    """A fresh key and its certificate as PEM; `authority` is the CA's certificate and key."""
    issuer = x509.load_pem_x509_certificate(authority[0])
    signs: Any = serialization.load_pem_private_key(authority[1], None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(address)),
        x509.DNSName(dns),
    ]
    common = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, dns.split(".")[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(common)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .sign(signs, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return private.decode("ascii"), certificate.public_bytes(pem).decode("ascii")
