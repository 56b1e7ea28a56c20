"""What the launcher tells the code inside the services."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "facts.json"


@dataclass(frozen=True)
class PoolSize:
    """One pool as its compute host and its volume service report it."""

    code: str
    compute_host: str
    vcpu: int
    memory_mib: int
    storage_gib: int


@dataclass(frozen=True)
class Facts:
    """Read from `etc/facts.json` of the state folder."""

    data_plane: str
    region: str
    http_threads: int
    pools: tuple[PoolSize, ...]
    endpoints: dict[str, str]
    config_files: dict[str, str]
    databases: dict[str, str]
    schema_cache: str

    @property
    def real(self) -> bool:
        return self.data_plane == "real"


def read(etc: Path) -> Facts:
    """The facts of the state whose configuration folder is `etc`."""
    raw = json.loads((etc / FILE).read_text(encoding="utf-8"))
    raw["pools"] = tuple(PoolSize(**pool) for pool in raw["pools"])
    return Facts(**raw)
