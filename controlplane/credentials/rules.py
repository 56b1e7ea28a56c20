"""Drawing secrets, and when one may be shown again."""

from __future__ import annotations

import secrets
import string
from enum import StrEnum

#: Letters and digits only: safe in a URI, a shell, a YAML file and every client's prompt.
ALPHABET = string.ascii_letters + string.digits
#: 143 bits; RFC 4086 asks for 96 against an attacker who can try offline.
LENGTH = 24


class CredentialState(StrEnum):
    NEXT = "next"
    CURRENT = "current"
    PREVIOUS = "previous"


def draw_secret(length: int = LENGTH) -> str:
    """A random secret that begins with a letter (some servers take no leading digit)."""
    first = secrets.choice(string.ascii_letters)
    return first + "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
