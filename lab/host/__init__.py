"""The machine the lab stands on: what the lab brings there, and that it takes it back."""

from __future__ import annotations

from pathlib import Path

from lab.settings import Settings


def record_file(settings: Settings) -> Path:
    """What `lab.host packages` installed. Each part of the lab has its own such record."""
    return settings.home / "host-changes.json"
