"""What passes between drivers and the rest: how a run gets into a cloud, what pods write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Access:
    """`files` by name, each written as JSON (which is YAML) into the run's own folder; `variables`
    names for each environment variable the file that it shall point to. `inventory` names what the
    cloud consists of; None where its APIs do."""

    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    inventory: Path | None = None


@dataclass(frozen=True)
class PodLog:
    """The end of what one pod has written; `is_cut`: there was more."""

    pod: str
    is_ready: bool
    restarts: int
    text: str
    is_cut: bool
