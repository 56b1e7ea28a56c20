"""What drivers read of a cloud and the use cases keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DiskReading:
    """What a resource's data take, and whether its server refuses to write more of them."""

    used_bytes: int
    is_read_only: bool


@dataclass(frozen=True)
class UseReading:
    """What all pods of a resource use at this moment."""

    cpu_millicores: int
    memory_mib: int
