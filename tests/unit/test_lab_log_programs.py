"""Programs that replay a log: named where they are, and found wherever they lie."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import log_programs, settings


def test_they_are_named_only_where_they_have_been_unpacked(tmp_path: Path) -> None:
    configured = settings.load(environment={"LAB_CACHE": str(tmp_path)})
    assert log_programs.of_machines(configured) == {}
    folder = log_programs.folder_of(tmp_path / "machines")
    folder.mkdir(parents=True)
    assert log_programs.of_machines(configured)["postgresql"] == str(folder)
    assert set(log_programs.of_machines(configured)) == {"postgresql", "mariadb"}


def test_each_finds_its_libraries_beside_it_and_keeps_its_arguments(tmp_path: Path) -> None:
    for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", log_programs.BIN):
        (tmp_path / "root" / part).mkdir(parents=True)
    program = tmp_path / "root" / log_programs.BIN / "postgres"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH $*"\n')
    program.chmod(0o755)
    log_programs.write_wrappers(tmp_path)
    said = subprocess.run(
        [tmp_path / "bin" / "postgres", "-D", "a b"], capture_output=True, text=True, check=True
    ).stdout
    libraries, _, arguments = said.strip().partition(" ")
    folders = [Path(folder).resolve() for folder in libraries.split(":")]
    assert folders == [
        tmp_path / "root" / "usr/lib/x86_64-linux-gnu",
        tmp_path / "root" / "lib/x86_64-linux-gnu",
    ]
    assert arguments == "-D a b"
