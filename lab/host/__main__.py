"""`python -m lab.host packages|go`: what playbooks/lab/ asks of the machine, answered as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import click

from lab import settings
from lab.command_line import run
from lab.host import packages, record_file
from lab.host.go import ensure
from lab.progress import Progress


@click.group()
def main() -> None:
    """What the lab needs of this machine, beyond what its parts bring themselves."""
    os.umask(0o022)


@main.command("packages")
@click.argument("wanted", nargs=-1, required=True)
def install(wanted: tuple[str, ...]) -> None:
    """Install those that are missing, as root, and remember them for `make lab-clean`; as an
    ordinary user only say which are missing."""
    missing = packages.missing(wanted)
    changed = False
    if missing and os.geteuid() == 0:
        changed = packages.install(wanted, record_file(settings.load()), Progress().say)
        missing = packages.missing(wanted)
    click.echo(json.dumps({"changed": changed, "missing": missing}))


@main.command()
def go() -> None:
    """See to a Go that builds Kubernetes: the machine's, or its package, where nothing is built."""
    click.echo(json.dumps(asdict(ensure(settings.load(), Progress()))))


if __name__ == "__main__":
    run(main)
