"""The commands that a part of the lab has: start, stop, status, reset, clean."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import click
from rich.console import Console
from rich.table import Table

from lab import settings
from lab.errors import LabError
from lab.part import ServiceStatus
from lab.progress import Progress
from lab.settings import Settings

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON.")

Row = tuple[str, str, str, str, str]  # name, state, pid, MiB, endpoint


class Status(Protocol):
    """A part as it is now."""

    ready: bool
    services: tuple[ServiceStatus, ...]

    def as_json(self) -> dict[str, Any]: ...


class Part(Protocol):
    """The module that is a part's whole life."""

    def start(self, settings: Settings, progress: Progress) -> Any: ...
    def stop(self, settings: Settings, progress: Progress) -> list[str]: ...
    def status(self, settings: Settings) -> Any: ...
    def reset(self, settings: Settings, progress: Progress) -> None: ...
    def clean(self, settings: Settings, progress: Progress) -> None: ...


def commands(
    part: Part,
    *,
    title: str,
    describe: Callable[[Any], Iterable[str]],
    rows_inside: Callable[[Any], Iterable[Row]] = lambda _: (),
) -> click.Group:
    """The command line of `part`; `describe` and `rows_inside` say of its status what the table of
    its programs does not."""

    def show(now: Status, json_: bool) -> None:
        if json_:
            click.echo(json.dumps(now.as_json(), indent=1))
        else:
            _print(now.services, rows_inside(now), describe(now))

    @click.group(help=title)
    def group() -> None:
        # A supervisor's end is like one from the keyboard: what was half-started is ended too.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        # The services' user reads what the launcher writes; the state folder lets only it in.
        os.umask(0o022)

    @group.command()
    @as_json
    def start(json_: bool) -> None:
        """Start it; the first time also make all that it needs."""
        started_s = time.monotonic()
        show(part.start(settings.load(), Progress()), json_)
        if not json_:
            click.echo(f"ready after {time.monotonic() - started_s:.1f} s")

    @group.command()
    @as_json
    def stop(json_: bool) -> None:
        """Stop it; what it holds is kept."""
        ended = part.stop(settings.load(), Progress())
        text = json.dumps({"stopped": ended}) if json_ else f"stopped: {', '.join(ended) or '-'}"
        click.echo(text)

    @group.command()
    @as_json
    def status(json_: bool) -> None:
        """Say what runs; exit status 0 if it is ready, 3 if not."""
        now = part.status(settings.load())
        show(now, json_)
        sys.exit(0 if now.ready else 3)

    @group.command()
    def reset() -> None:
        """Stop it and wipe its state: all that it holds, and its logs."""
        part.reset(settings.load(), Progress())

    @group.command()
    def clean() -> None:
        """Stop it and remove everything it has made, on this machine and in its caches."""
        part.clean(settings.load(), Progress())

    return group


def run(group: click.Group) -> None:
    """Runs a command; an error the reader can act on is one line and exit status 1."""
    try:
        group()
    except LabError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _print(services: Iterable[ServiceStatus], inside: Iterable[Row], lines: Iterable[str]) -> None:
    table = Table("service", "state", "pid", "MiB", "endpoint", box=None)
    for each in services:
        pid, mib = str(each.pid or ""), str(each.rss_mib or "")
        table.add_row(each.name, each.state, pid, mib, each.endpoint)
    for row in inside:
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    for text in (*(each.fault for each in services if each.fault), *lines):
        console.print(text, markup=False, soft_wrap=True)
