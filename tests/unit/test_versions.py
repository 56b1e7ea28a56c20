"""Versions of a service: which one an instance is treated by, and what may be kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.versions import version_for
from controlplane.errors import DeclarationInvalid
from tests.newer import edited, release_drill, services_with_drill


@dataclass
class Instance:
    service_version: str
    service: str = "drill"


@pytest.mark.parametrize(
    ("built_by", "kept", "expected"),
    [
        ("1.0.0", ["1.0.0", "2.0.0"], "1.0.0"),
        ("1.9.0", ["1.10.0", "2.0.0"], "1.10.0"),
        ("1.9.0", ["1.8.0", "2.0.0", "1.10.0"], "1.10.0"),
        ("3.0.0", ["1.0.0", "2.0.0"], "2.0.0"),
        ("1.0.0", [], None),
    ],
)
def test_an_instance_is_treated_by_its_own_version_or_the_next_that_is_kept(
    built_by: str, kept: list[str], expected: str | None
) -> None:
    assert version_for(built_by, kept) == expected


@pytest.fixture
def services(tmp_path: Path) -> Path:
    made = services_with_drill(tmp_path)
    release_drill(made)
    return made


def test_the_newest_is_offered_and_the_older_kept(services: Path) -> None:
    catalogue = load_catalogue(services)
    assert {code: s.version for code, s in catalogue.items()} == {"drill": "2.0.0"}
    assert [s.version for s in catalogue.versions("drill")] == ["1.0.0", "2.0.0"]
    old, new = catalogue.of(Instance("1.0.0")), catalogue.of(Instance("2.0.0"))
    assert (old.path, new.path) == ("drill/versions/1.0.0", "drill")
    assert (sorted(old.plans), sorted(new.plans)) == (["large", "small"], ["small"])
    assert not catalogue.keeps(Instance("0.9.0"))
    assert catalogue.of(Instance("0.9.0")) is old
    assert catalogue.find(Instance("1.0.0", "no_such_service")) is None


def test_a_service_that_is_offered_no_more_still_has_its_versions(services: Path) -> None:
    (services / "drill" / "service.yml").unlink()
    catalogue = load_catalogue(services, ["kubernetes"])
    assert list(catalogue) == []
    assert catalogue.of(Instance("1.0.0")).absent_engines == {"kubernetes"}
    assert list(catalogue.known) == ["drill"]


def test_every_fault_of_a_kept_version_is_named_with_its_line(services: Path) -> None:
    versions = services / "drill" / "versions"
    declared = versions / "1.0.0" / "service.yml"
    text = edited(declared.read_text("utf-8"), ("service: drill", "service: other"))
    declared.write_text(text.replace("version: 1.0.0", "version: 3.0.0"), "utf-8")
    (versions / "0.1.0").mkdir()
    shutil.copytree(versions / "1.0.0", versions / "0.2.0")
    (versions / "0.2.0" / "change.yml").unlink()
    with pytest.raises(DeclarationInvalid) as refused:
        load_catalogue(services)
    at = "drill/versions"
    assert refused.value.problems == (
        f"{at}/0.1.0/service.yml: the file is missing",
        f"{at}/0.2.0/service.yml:3: version: the folder says 0.2.0",
        f"{at}/0.2.0/service.yml:2: service: must be drill",
        f"{at}/0.2.0/service.yml:3: version: is not older than 2.0.0, which is offered",
        f"{at}/0.2.0/service.yml:49: actions.change.playbook: change.yml is missing",
        f"{at}/1.0.0/service.yml:3: version: the folder says 1.0.0",
        f"{at}/1.0.0/service.yml:2: service: must be drill",
        f"{at}/1.0.0/service.yml:3: version: is not older than 2.0.0, which is offered",
    )
