"""The keys that seal secrets: a file outside the database, newest first, one key a line.

Fernet (AES-128-CBC with HMAC-SHA256) of the `cryptography` package. What is sealed carries whose
secret it is, so that a row copied onto another resource does not open.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from controlplane.errors import ConfigurationMissing


class Keyring:
    """Seals with the newest key of its file, opens with any; the file is made at first use."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def seal(self, resource_id: str, name: str, value: str) -> str:
        content = json.dumps([resource_id, name, value], ensure_ascii=False)
        return self._fernet().encrypt(content.encode()).decode("ascii")

    def open(self, resource_id: str, name: str, sealed: str) -> str:
        """Errors: ConfigurationMissing when no key of the file opens it, or it is another's."""
        try:
            content = json.loads(self._fernet().decrypt(sealed.encode("ascii")))
        except InvalidToken:
            raise ConfigurationMissing(
                what=f"the key that sealed {name} of resource {resource_id}; "
                f"put it back into {self.path.name}"
            ) from None
        if content[:2] != [resource_id, name]:
            raise ConfigurationMissing(what=f"a sealed {name} of resource {resource_id}'s own")
        return str(content[2])

    def is_sealed_by_newest(self, sealed: str) -> bool:
        newest = self._keys()[0]
        with suppress(InvalidToken):
            newest.decrypt(sealed.encode("ascii"))
            return True
        return False

    def add_key(self) -> None:
        """A new key that seals from now on; older ones still open."""
        lines = self._lines() if self.path.exists() else []
        self._write([Fernet.generate_key().decode("ascii"), *lines])

    def forget_old_keys(self) -> int:
        """Leaves only the newest key; returns how many went. The caller has resealed everything."""
        lines = self._lines()
        self._write(lines[:1])
        return len(lines) - 1

    def _fernet(self) -> MultiFernet:
        # Read at each use: another process may have added a key, and it is one small file.
        return MultiFernet(self._keys())

    def _keys(self) -> list[Fernet]:
        if not self.path.exists():
            self.add_key()
        try:
            return [Fernet(line) for line in self._lines()]
        except ValueError as error:
            raise ConfigurationMissing(what=f"well-formed keys in {self.path}: {error}") from error

    def _lines(self) -> list[str]:
        lines = self.path.read_text(encoding="ascii").split()
        if not lines:
            raise ConfigurationMissing(what=f"a key in {self.path}, which is empty")
        return lines

    def _write(self, lines: list[str]) -> None:
        """Whole or not at all, and readable by nobody else from its first byte on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
