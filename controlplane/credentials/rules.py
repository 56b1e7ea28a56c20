"""Drawing secrets, and when one may be shown again."""

from __future__ import annotations

import secrets
import string
from enum import StrEnum

#: Letters and digits only: safe in a URI, a shell, a YAML file and every client's prompt.
ALPHABET = string.ascii_letters + string.digits
#: 143 bits; RFC 4086 asks for 96 against an attacker who can try offline.
LENGTH = 24


#: A secret of an account beside the resource's own is named after it.
ACCOUNT_PREFIX = "account."
#: At most beside the resource's own.
ACCOUNTS_MAX = 20


def account_secret(account: str) -> str:
    """The name under which the secret of one of a resource's further accounts is kept."""
    return f"{ACCOUNT_PREFIX}{account}"


def is_of(name: str, account: str) -> bool:
    """Whether a secret is that of `account`; "" are the resource's own."""
    return name == account_secret(account) if account else not name.startswith(ACCOUNT_PREFIX)


class CredentialState(StrEnum):
    NEXT = "next"
    CURRENT = "current"
    PREVIOUS = "previous"


def draw_secret(length: int = LENGTH) -> str:
    """A random secret that begins with a letter (some servers take no leading digit)."""
    first = secrets.choice(string.ascii_letters)
    return first + "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
