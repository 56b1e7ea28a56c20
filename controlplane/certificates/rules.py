"""Which names a department may have in a certificate, what a request must be, when what is due.

Pure: `cryptography` only reads what is given. Deny by default: what no rule allows is a fault.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from controlplane.errors import Fault

#: Fields of a certifying service's form.
NAMES = "dns_names"
ADDRESSES = "ip_addresses"
REQUEST = "certificate_request"
REASON = "revocation_reason"

MAX_NAMES = 50
#: First labels that machines of a domain ask for by themselves and believe: the proxy's settings,
#: a tunnel's router, the machine itself.
RESERVED_LABELS = frozenset(("localhost", "wpad", "isatap"))
#: Of a certificate that the platform itself serves with: nobody has to put it anywhere.
SERVED_VALID = timedelta(days=90)
#: A clock that is a little behind still takes what was signed a moment ago.
BACKDATED = timedelta(minutes=5)
#: Renewed this long before its end: so long do the old and the new certificate hold together.
RENEW_BEFORE = timedelta(days=30)
#: A list holds this long, and is signed anew well before.
LIST_VALID = timedelta(days=7)
LIST_REFRESH = timedelta(days=1)
#: RFC 5280, 3.3: an entry stays on at least one list after the certificate has expired.
LISTED_AFTER_END = timedelta(days=8)

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+{_LABEL}")
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
RSA_BITS = range(2048, 8193)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class CertificateState(StrEnum):
    PENDING = "pending"  # signed for a run that has not yet brought it into service
    VALID = "valid"
    HELD = "held"  # on the list for the time being (certificateHold)
    REVOKED = "revoked"  # for good


class Certifies(StrEnum):
    """What an action does with the resource's certificates. `SERVE`: signed, with a key of our own,
    before the run, which is told both; so is every later one, until `UNSERVE` revokes them.
    `RENEW`: the same for what has served with one from the first, on a machine of its own."""

    ISSUE = "issue"
    SERVE = "serve"
    UNSERVE = "unserve"
    RENEW = "renew"
    HOLD = "hold"
    RELEASE = "release"
    REVOKE = "revoke"


class Reason(StrEnum):
    """Reasons of RFC 5280, 5.3.1, by the names that `cryptography` has for them."""

    KEY_COMPROMISE = "key_compromise"
    AFFILIATION_CHANGED = "affiliation_changed"
    SUPERSEDED = "superseded"
    CESSATION = "cessation_of_operation"
    HOLD = "certificate_hold"


#: Actions whose run changes what is served.
SERVING = (Certifies.SERVE, Certifies.UNSERVE, Certifies.RENEW)
#: States in which a certificate is on no revocation list.
UNLISTED = (CertificateState.PENDING, CertificateState.VALID)
#: States of what has been in service, or on hold, and may still be.
IN_FORCE = (CertificateState.VALID, CertificateState.HELD)


@dataclass(frozen=True)
class Request:
    """What a certificate is asked for: names, addresses, and the key of a pasted request."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    public_key: PublicKey | None


@dataclass(frozen=True)
class Entitlement:
    """What a department may have: `domains` of all departments by suffix, `own` the department's
    (None: it has none), `addresses` of its machines, `compromised` keys that nobody may use again,
    `taken`: who serves a name already, by name.
    """

    own: str | None
    domains: Collection[str]
    addresses: Collection[str]
    compromised: Collection[str] = ()
    taken: Mapping[str, str] = field(default_factory=dict)


def read_order(spec: Mapping[str, Any]) -> tuple[Request, list[Fault]]:
    """The names typed and those of a pasted request together, each once, and what is wrong with
    the request itself."""
    names = _lines(spec.get(NAMES))
    addresses = _lines(spec.get(ADDRESSES))
    pasted = str(spec.get(REQUEST) or "").strip()
    if not pasted:
        return Request(names, addresses, None), []
    try:
        request = x509.load_pem_x509_csr(pasted.encode())
        key: Any = request.public_key()
        more_names, more_addresses = _names_of(request)
        faults = _request_faults(request, key)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        return Request(names, addresses, None), [Fault("certificate_request_unreadable", REQUEST)]
    names = tuple(dict.fromkeys((*names, *more_names)))
    addresses = tuple(dict.fromkeys((*addresses, *more_addresses)))
    return Request(names, addresses, key), faults


def order_faults(spec: Mapping[str, Any], entitled: Entitlement) -> list[Fault]:
    """Everything that keeps the order from being signed, at once."""
    request, faults = read_order(spec)
    if len(request.names) + len(request.addresses) > MAX_NAMES:
        return [*faults, Fault("field_too_many", NAMES, {"limit": MAX_NAMES})]
    if not request.names and not request.addresses:
        faults.append(Fault("certificate_without_names", NAMES))
    for name in request.names:
        faults += _name_faults(name, entitled)
    for address in request.addresses:
        faults += _address_faults(address, entitled)
    if request.public_key is not None and key_id(request.public_key) in entitled.compromised:
        faults.append(Fault("certificate_key_compromised", REQUEST))
    return faults


def owner_of(name: str, domains: Iterable[str]) -> str | None:
    """The domain that a name falls to: the longest of those it ends in, so that what was given to
    a department below is not the upper one's any more."""
    held = [d for d in domains if name == d or name.endswith(f".{d}")]
    return max(held, key=len, default=None)


def key_id(key: PublicKey) -> str:
    """SHA-256 of the key itself: the same for every request and certificate that has it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def renewal_is_due(not_after: datetime, now: datetime) -> bool:
    return now >= not_after - RENEW_BEFORE


def served_at(names: Iterable[str], address: str) -> Request:
    """What is served with a key of our own: under its names, and where the cloud answers for it."""
    is_address = _is_address(address)
    every = (*names, *((address.lower(),) if address and not is_address else ()))
    return Request(tuple(dict.fromkeys(every)), (address,) if is_address else (), None)


def shown_state(state: str, not_after: datetime, now: datetime) -> str:
    """What people are told: one that has ended is neither valid nor on hold any more."""
    return state if state == CertificateState.REVOKED or not_after > now else "expired"


def list_is_due(this_update: datetime | None, now: datetime) -> bool:
    return this_update is None or now >= this_update + LIST_REFRESH


def _lines(text: Any) -> tuple[str, ...]:
    words = re.split(r"[\s,;，；、]+", str(text or "").lower())
    return tuple(dict.fromkeys(word for word in words if word))


def _names_of(request: x509.CertificateSigningRequest) -> tuple[list[str], list[str]]:
    """Names and addresses that a request asks for; a common name counts as one."""
    names = [
        str(a.value).lower() for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    addresses: list[str] = []
    try:
        alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        alternatives = x509.SubjectAlternativeName([])
    for general in alternatives:
        if isinstance(general, x509.IPAddress):
            addresses.append(str(general.value))
        else:  # an e-mail address or a directory name is no DNS name, and is told so
            names.append(str(general.value).lower())
    both = [name for name in names if _is_address(name)]
    return [n for n in names if n not in both], [*both, *addresses]


def _request_faults(request: x509.CertificateSigningRequest, key: Any) -> list[Fault]:
    faults = []
    try:
        signed = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        signed = False
    if not signed:
        faults.append(Fault("certificate_request_not_signed", REQUEST))
    if isinstance(request.signature_hash_algorithm, _WEAK_HASHES):
        faults.append(Fault("certificate_hash_weak", REQUEST))
    if not _is_strong(key):
        faults.append(Fault("certificate_key_weak", REQUEST))
    try:
        wanted = request.extensions.get_extension_for_class(x509.BasicConstraints).value
        if wanted.ca:
            faults.append(Fault("certificate_of_authority", REQUEST))
    except x509.ExtensionNotFound:
        pass
    return faults


def _is_strong(key: Any) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in RSA_BITS and key.public_numbers().e >= 65537
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    return isinstance(key, ed25519.Ed25519PublicKey)


def _name_faults(name: str, entitled: Entitlement) -> list[Fault]:
    if name.startswith("*."):
        return [Fault("certificate_wildcard", NAMES, {"name": name[:80]})]
    if not _DNS.fullmatch(name) or name.rpartition(".")[2].isdecimal():
        return [Fault("certificate_name_malformed", NAMES, {"name": name[:80]})]
    if entitled.own is None:
        return [Fault("certificate_no_domain", NAMES, {"name": name[:80]})]
    if owner_of(name, entitled.domains) != entitled.own:
        return [
            Fault("certificate_name_foreign", NAMES, {"name": name[:80], "domain": entitled.own})
        ]
    if name.partition(".")[0] in RESERVED_LABELS:
        return [Fault("certificate_name_reserved", NAMES, {"name": name[:80]})]
    if name in entitled.taken:
        who = entitled.taken[name]
        return [Fault("certificate_name_taken", NAMES, {"name": name[:80], "resource": who})]
    return []


def _address_faults(address: str, entitled: Entitlement) -> list[Fault]:
    if not _is_address(address):
        return [Fault("certificate_address_malformed", ADDRESSES, {"name": address[:80]})]
    own = {str(ipaddress.ip_address(a)) for a in entitled.addresses if _is_address(a)}
    if str(ipaddress.ip_address(address)) not in own:
        return [Fault("certificate_address_foreign", ADDRESSES, {"name": address[:80]})]
    return []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
