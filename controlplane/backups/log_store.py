"""Where the archived logs of servers lie: below the backup store, a folder for each chain.

A chain is a row of base backups and log without a gap; `base/` and `wal/` hold files of the age
format, `spool/` what was received and is not encrypted yet. A base counts once its `.json` is
there. It is one file of a PostgreSQL, and of a MariaDB a folder with one for each database.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controlplane.backups.log_rules import Base

SUFFIX = ".age"
#: Of what stands in the place of a database's dump that could not be made.
LACKING = ".lacking"


@dataclass(frozen=True)
class Chain:
    folder: Path

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    def base(self, name: str) -> Path:
        return self.folder / "base" / f"{name}{SUFFIX}"

    def segment(self, name: str) -> Path:
        return self.wal / f"{name}{SUFFIX}"

    def bases(self) -> list[Base]:
        found = []
        for file in sorted((self.folder / "base").glob("*.json")):
            told = json.loads(file.read_text(encoding="utf-8"))
            ended_at = datetime.fromisoformat(told["ended_at"])
            found.append(Base(file.stem, told["first_segment"], ended_at))
        return found

    def lacks(self, base: Base, database: str) -> bool:
        """Whether one that was there could not be dumped."""
        return (self.base(base.name) / f"{database}{LACKING}").exists()

    def note_base(self, base: Base) -> None:
        """From now on it counts: its archive and the log up to its end are there."""
        file = self.folder / "base" / f"{base.name}.json"
        draft = file.with_suffix(".new")
        told = {"first_segment": base.first_segment, "ended_at": base.ended_at.isoformat()}
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.rename(file)

    def segments(self) -> list[str]:
        return sorted(file.name.removesuffix(SUFFIX) for file in self.folder.glob(f"wal/*{SUFFIX}"))

    def remove_base(self, base: Base) -> None:
        (self.folder / "base" / f"{base.name}.json").unlink(missing_ok=True)
        kept = self.base(base.name)
        if kept.is_dir():
            shutil.rmtree(kept)
        else:
            kept.unlink(missing_ok=True)

    def remove_segment(self, name: str) -> None:
        self.segment(name).unlink(missing_ok=True)

    def remove(self) -> None:
        """All of it. Errors: OSError."""
        for file in sorted(self.folder.rglob("*"), reverse=True):
            with suppress(FileNotFoundError):
                file.rmdir() if file.is_dir() else file.unlink()
        with suppress(FileNotFoundError):
            self.folder.rmdir()

    def size_bytes(self) -> int:
        total = 0
        for file in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                total += file.stat().st_size
        return total
