"""Hosts of a static Ansible inventory, as drivers need them: plays read the same file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controlplane.errors import CloudUnavailable


def hosts_of(inventory: Path) -> dict[str, Mapping[str, Any]]:
    """Variables by host, of every group. Errors: CloudUnavailable (there is no such file now)."""
    try:
        groups = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CloudUnavailable(reason=f"{inventory.name}: {error}") from error
    found: dict[str, Mapping[str, Any]] = {}
    _collect(groups or {}, found)
    return found


def _collect(groups: Mapping[str, Any], found: dict[str, Mapping[str, Any]]) -> None:
    for group in groups.values():
        hosts = (group or {}).get("hosts") or {}
        found.update({name: host or {} for name, host in hosts.items()})
        _collect((group or {}).get("children") or {}, found)
