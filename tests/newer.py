"""A newer version of a service beside the one that instances were built by, in a folder of a test's
own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.factories import TEST_SERVICES

#: What becomes of the drill service: its small plan grows, the large one is offered no more.
DRILL_2 = (
    ("version: 1.0.0", "version: 2.0.0"),
    ("vcpu: 1, memory_mib: 2048", "vcpu: 2, memory_mib: 4096"),
    ("  - {code: large, name: {zh: 大型, en: Large}, vcpu: 4, memory_mib: 16384}\n", ""),
    ("enum: [small, large]", "enum: [small]"),
    ("fields: [plan, volumes], approval", "fields: [volumes], approval"),
    ("grace_days: 7", "grace_days: 3"),
    (
        "actions:\n",
        "actions:\n  upgrade: {playbook: change.yml, name: {zh: 升级, en: Upgrade}, kind: upgrade,"
        " restarts: true}\n",
    ),
)


def services_with_drill(folder: Path) -> Path:
    """The test services, copied to where a newer version can be put."""
    services = folder / "playbooks" / "services"
    shutil.copytree(TEST_SERVICES, services)
    return services


def release_drill(services: Path, *edits: tuple[str, str]) -> None:
    """Drill 2.0.0 is offered from now on, and 1.0.0 kept; `edits` go into its declaration."""
    drill = services / "drill"
    kept = drill / "versions" / "1.0.0"
    kept.mkdir(parents=True)
    for file in drill.glob("*.yml"):
        shutil.copyfile(file, kept / file.name)
    declared = drill / "service.yml"
    declared.write_text(edited(declared.read_text(encoding="utf-8"), *DRILL_2, *edits), "utf-8")


def edited(text: str, *edits: tuple[str, str]) -> str:
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after, 1)
    return text
