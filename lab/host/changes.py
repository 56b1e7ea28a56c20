"""Remembers what the lab changed on the machine, so that undoing takes back that and no more."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class HostChanges:
    """Debian packages, users, groups and folders that were not there before the lab came."""

    packages: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.packages or self.users or self.groups or self.folders)

    def merge(self, other: HostChanges) -> None:
        """Add what `other` names; an entry already known stays single."""
        for name, values in asdict(other).items():
            mine: list[str] = getattr(self, name)
            mine.extend(value for value in values if value not in mine)


def load(file: Path) -> HostChanges:
    """Read the record; no file means nothing was changed."""
    try:
        return HostChanges(**json.loads(file.read_text()))
    except FileNotFoundError:
        return HostChanges()


def save(file: Path, changes: HostChanges) -> None:
    """Write the record whole or not at all: a half record would leave packages behind."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(changes), indent=1))
    draft.replace(file)
