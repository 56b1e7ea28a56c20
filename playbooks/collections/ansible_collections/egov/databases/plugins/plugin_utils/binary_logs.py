"""A file of a MariaDB's binary log, as it is passed on: event by event, up to the first transaction of a moment.

Each event begins with 19 bytes: when (seconds), its kind, by which server, how long it is, where the next one is, flags.
"""

from __future__ import annotations

import struct
from typing import IO

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError

MAGIC = b"\xfebin"
HEADER = struct.Struct("<IBIIIH")
#: With which every transaction begins.
GTID = 162


class UntilMoment:
    """Writes the file into another up to the first transaction that is not before `until` (seconds since 1970)."""

    def __init__(self, into: IO[bytes], until: float) -> None:
        self.is_reached = False
        self._into, self._until = into, until
        self._rest, self._within = b"", 0
        self._has_begun = False

    def write(self, block: bytes) -> int:
        if self.is_reached:
            return len(block)
        self._rest += bytes(block)
        if not self._has_begun:
            if len(self._rest) < len(MAGIC):
                return len(block)
            if not self._rest.startswith(MAGIC):
                raise ArchiveError("it is no binary log")
            self._has_begun, self._within = True, len(MAGIC)
        self._pass_on()
        return len(block)

    def _pass_on(self) -> None:
        """As far as whole events, and the parts of one that is longer, are there."""
        start = 0
        while True:
            taken = min(self._within, len(self._rest) - start)
            start += taken
            self._within -= taken
            if self._within or len(self._rest) - start < HEADER.size:
                break
            when, kind, _, length, _, _ = HEADER.unpack_from(self._rest, start)
            if length < HEADER.size:
                raise ArchiveError("an event of the binary log is shorter than its header")
            if kind == GTID and when >= self._until:
                self.is_reached = True
                break
            self._within = length
        self._into.write(self._rest[:start])
        self._rest = b"" if self.is_reached else self._rest[start:]

    def flush(self) -> None:
        self._into.flush()

    def close(self) -> None:
        """Errors: ArchiveError where the file ends amid an event."""
        if not self.is_reached and (self._within or self._rest or not self._has_begun):
            raise ArchiveError("it ends amid an event")
        self._into.flush()
