"""What drivers read of a cloud and the use cases keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """A resource whose data are to be measured, with what was delivered of it."""

    resource_id: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class DiskReading:
    """What a resource's data take, and whether its server refuses to write more of them.

    `size_bytes` is of a file system that is the resource's own, whose bookkeeping counts as used: a
    plan of 10 GiB has a little less there.
    """

    used_bytes: int
    is_read_only: bool
    size_bytes: int | None = None


@dataclass(frozen=True)
class UseReading:
    """What all pods of a resource use at this moment."""

    cpu_millicores: int
    memory_mib: int
