"""A newer version of a service beside the one that instances were built by, in a folder of a test's
own."""

from __future__ import annotations

import shutil
from pathlib import Path

from controlplane.catalogue.loader import load_catalogue
from controlplane.config import CHECKOUT
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


#: What becomes of a database's service in the lab: its small plan takes more connections and more
#: memory, and the upgrade of the system called so fails when its database has been changed already.
VERSION_9 = (
    ("connections: 20, vcpu: 1, memory_mib: 512", "connections: 25, vcpu: 1, memory_mib: 1024"),
    (
        "  upgrade:\n    kind: upgrade\n    playbook: manage.yml\n",
        "  upgrade:\n    kind: upgrade\n    playbook: newer.yml\n",
    ),
)
FAILS = "升级会失败的系统"
NEWER_PLAY = f"""\
---
- name: As an order is carried out
  ansible.builtin.import_playbook: manage.yml
- name: And then for some it goes wrong
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: What nobody had thought of
      ansible.builtin.assert:
        that: controlplane.is_undoing or controlplane.spec.system_name != '{FAILS}'
        fail_msg: an extension does not fit the new version
"""


def release(service: str, folder: Path) -> tuple[Path, str]:
    """The shipped service in a playbooks folder of a test's own, kept as it is beside 9.0.0; the
    folder, and the version that is kept."""
    playbooks = _playbooks(folder)
    services = CHECKOUT / "playbooks" / "services"
    newest, version = playbooks / "services" / service, load_catalogue(services)[service].version
    shutil.copytree(services / service, newest, ignore=shutil.ignore_patterns("versions"))
    shutil.copytree(newest, newest / "versions" / version)
    # Some of its plans bring a machine.
    (newest.parent / "vm").symlink_to(services / "vm")
    text = (newest / "service.yml").read_text(encoding="utf-8")
    text = edited(text, (f"version: {version}", "version: 9.0.0"), *VERSION_9)
    (newest / "service.yml").write_text(text, encoding="utf-8")
    (newest / "newer.yml").write_text(NEWER_PLAY, encoding="utf-8")
    return playbooks, version


def offering(service: str, folder: Path, version: str = "", *edits: tuple[str, str]) -> Path:
    """The shipped playbooks, with this service offered as 9.0.0 with `edits` in its play, or in an
    older version that is kept."""
    playbooks, services = _playbooks(folder), CHECKOUT / "playbooks" / "services"
    for other in services.iterdir():
        if other.name != service:
            (playbooks / "services" / other.name).symlink_to(other)
    declared, offered = services / service, playbooks / "services" / service
    if version:
        shutil.copytree(declared / "versions" / version, offered)
        return playbooks
    shutil.copytree(declared, offered)
    newest = load_catalogue(services)[service].version
    kept = offered / "versions" / newest
    kept.mkdir()
    for file in declared.glob("*.yml"):
        shutil.copyfile(file, kept / file.name)
    for file, changes in (
        ("service.yml", ((f"version: {newest}", "version: 9.0.0"),)),
        ("manage.yml", edits),
    ):
        text = (offered / file).read_text(encoding="utf-8")
        (offered / file).write_text(edited(text, *changes), encoding="utf-8")
    return playbooks


def _playbooks(folder: Path) -> Path:
    """The shipped ones, without any service yet."""
    shipped, playbooks = CHECKOUT / "playbooks", folder / "playbooks"
    (playbooks / "services").mkdir(parents=True)
    for name in ("roles", "collections", "ops"):
        (playbooks / name).symlink_to(shipped / name)
    shutil.copyfile(CHECKOUT / "ansible.cfg", folder / "ansible.cfg")
    (folder / "inventory").mkdir()
    return playbooks
