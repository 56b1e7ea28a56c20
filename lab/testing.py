"""`make test`, `test-more`, `test-lab`, `lint`: every check with its time, the first failure whole
and the rest left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import indent

import click
import sqlalchemy as sa
from rich.console import Console

from lab import settings, vagrant
from lab.browser import ensure_browser
from lab.errors import LabError
from lab.kubernetes import cluster
from lab.openstack import cloud
from lab.progress import Progress
from lab.services import postgresql, shared
from ui import assets

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
#: As many as a small machine has cores.
SIDE_BY_SIDE = ("-n", "2", "--dist", "worksteal")
#: Twice as many as cores: while one waits for a cloud, another one's browser draws.
WAITING_FOR_OTHERS = ("-n", "4", "--dist", "worksteal")
#: The tests of a file share what it has set up, or must not be beside one another; one more than
#: there are cores, for many of them wait for a server, or for a pod of their worker's own cluster.
#: Not those with most tests first: what takes longest here are a few tests, and would come last.
FILES_SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")

#: Four databases a second are made and dropped: without waiting for the disk.
CARELESS = tuple(
    f"ALTER SYSTEM SET {name} = off"
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")
)

#: What is too long for every change: every page as everybody sees it, machines after their first
#: day, a cloud that fails, the lab's own clouds and servers, and (root) what it does to its host.
MORE = ("pages", "day_two", "faults", "embedded", "host")
#: Every service in every place where it can stand; in the cluster and on machines it takes root.
LAB = ("servers", "cluster", "machines")
BRIEF = ("servers", "cluster")

#: Each worker has a cloud with machines of its own, which keep the cores busy.
CLOUDS = ("-n", "2", "--dist", "loadfile")

#: Above what the lab's tests say at their end of what they had done.
TRANSCRIPT = "what was done:"

console = Console(highlight=False)


@dataclass
class Step:
    """A command with the environment it needs; `before` starts what it stands on."""

    name: str
    command: tuple[str, ...]
    before: Callable[[], dict[str, str]] = dict
    environment: dict[str, str] = field(default_factory=dict)
    says: bool = False  # show what it prints though it passes: a test runner's last lines


def lint_steps() -> list[Step]:
    def tool(name: str, *arguments: str) -> tuple[str, ...]:
        return (str(BIN / name), *arguments)

    return [
        Step("ruff format", tool("ruff", "format", "--check", "-q", ".")),
        Step("ruff", tool("ruff", "check", "-q", ".")),
        Step("mypy --strict", tool("mypy")),
        Step("import-linter", tool("lint-imports", "--no-cache")),
        Step("ansible-lint", tool("ansible-lint", "--offline", "-q", "playbooks")),
        Step(
            "vagrant validate",
            # Whether this machine could run the box is not the question.
            (vagrant.program(), "validate", "--ignore-provider"),
            _vagrant,
        ),
        Step("djlint", tool("djlint", "--quiet", "--lint", "ui/templates")),
    ]


def rounds() -> list[list[list[Step]]]:
    """One round after the other. Linters keep one core busy, unit tests another."""
    functional = (*PYTEST, *SIDE_BY_SIDE, "tests/functional")
    unit = Step("unit", (*PYTEST, "tests/unit"), says=True)
    return [
        [lint_steps(), [unit]],
        [
            [
                Step("functional, SQLite", (*functional, "-m", "not strict_database"), says=True),
                Step(
                    "functional, PostgreSQL",
                    (*functional, "-m", "not any_database"),
                    _postgresql,
                    says=True,
                ),
                Step(
                    "OpenStack, browser",
                    (*PYTEST, *WAITING_FOR_OTHERS, "tests/integration", "tests/browser"),
                    _cloud_and_browser,
                    says=True,
                ),
            ]
        ],
    ]


def steps_of(parts: Sequence[str]) -> list[Step]:
    """Those of `MORE` and `LAB`, by name."""
    pages = (*PYTEST, "--thorough", "tests/browser/test_every_page.py")
    known = {
        "pages": Step("", (*pages, *SIDE_BY_SIDE), _browser),
        "day_two": Step("", (*PYTEST, *SIDE_BY_SIDE, "tests/lab/day_two"), _openstack),
        "faults": Step("", (*PYTEST, *FILES_SIDE_BY_SIDE, "tests/lab/faults"), _cloud_and_database),
        "embedded": Step("", (*PYTEST, *FILES_SIDE_BY_SIDE, "tests/lab/embedded")),
        # They compare the machine before and after, and must be alone on it.
        "host": Step("", (*PYTEST, "tests/lab/host"), _programs_of_kubernetes),
        "servers": Step("", (*PYTEST, *FILES_SIDE_BY_SIDE, "tests/lab/servers")),
        "cluster": Step(
            "", (*PYTEST, *FILES_SIDE_BY_SIDE, "tests/lab/cluster"), _programs_of_kubernetes
        ),
        "machines": Step("", (*PYTEST, *CLOUDS, "tests/lab/machines")),
    }
    return [replace(known[part], name=f"lab, {part}", says=True) for part in parts]


def lab_steps(part: str, brief: bool) -> list[Step]:
    """All of the lab or a part of it; in short: what departments do on the shared servers, and one
    test for each service in the cluster."""
    steps = steps_of([part] if part else BRIEF if brief else LAB)
    if not brief:
        return steps
    return [replace(each, command=(*each.command, "-m", "brief")) for each in steps]


def _vagrant() -> dict[str, str]:
    vagrant.ensure(Progress(console))
    return {"VAGRANT_DOTFILE_PATH": str(vagrant.TOOLS / "vagrant-state")}


def test_home() -> settings.Settings:
    """A lab for tests alone: APIs without machines, which is quick and the same for every user."""
    chosen = {"LAB_HOME": f"var/{settings.TEST_HOME}", "LAB_DATA_PLANE": "none"}
    return settings.load(environment={**os.environ, **chosen})


def _postgresql() -> dict[str, str]:
    """A server of the tests' own: what it holds need not outlive a power cut."""
    url = postgresql.start(test_home(), Progress(console)).url
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (*CARELESS, "SELECT pg_reload_conf()"):
            connection.execute(sa.text(statement))
    engine.dispose()
    return {"TEST_POSTGRESQL_URL": url}


def _openstack() -> dict[str, str]:
    return {"TEST_CLOUDS_YAML": cloud.start(test_home(), Progress(console)).clouds_yaml}


def _cloud_and_browser() -> dict[str, str]:
    return {**_openstack(), **_browser()}


def _cloud_and_database() -> dict[str, str]:
    return {**_openstack(), **_postgresql()}


def _browser() -> dict[str, str]:
    return {"TEST_CHROMIUM": ensure_browser(Progress(console))}


def _programs_of_kubernetes() -> dict[str, str]:
    """Built before the first test asks for a cluster: a build outlasts every test's patience."""
    cluster.build(settings.load(), Progress(console))
    return {}


class Runner:
    """Runs tracks of steps beside one another; the first failure ends them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._failed: str | None = None

    def run(self, tracks: Sequence[Sequence[Step]]) -> None:
        """Raises LabError for the first step that fails, after showing all it said."""
        with ThreadPoolExecutor(len(tracks)) as pool:
            for ended in [pool.submit(self._follow, steps) for steps in tracks]:
                ended.result()
        if self._failed is not None:
            raise LabError(self._failed)

    def _follow(self, steps: Sequence[Step]) -> None:
        with ThreadPoolExecutor(1) as ahead:  # a cloud starts while what needs none is tested
            ready = [ahead.submit(step.before) for step in steps]
            for step, stands_on in zip(steps, ready, strict=True):
                try:
                    environment = {**os.environ, **stands_on.result(), **step.environment}
                except LabError as error:
                    self._fail(f"{step.name}: {error}")
                    break
                if not self._do(step, environment):
                    break
            ahead.shutdown(cancel_futures=True)

    def _do(self, step: Step, environment: Mapping[str, str]) -> bool:
        """Whether it passed, and nothing else has failed meanwhile."""
        started_s = time.monotonic()
        with self._lock:
            if self._failed is not None:
                return False
            process = subprocess.Popen(
                step.command,
                cwd=CHECKOUT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self._running.add(process)
        said, _ = process.communicate()
        seconds = time.monotonic() - started_s
        with self._lock:
            self._running.discard(process)
            if self._failed is not None:
                return False
            mark = "[red]✗[/]" if process.returncode else "[green]✓[/]"
            console.print(f"  {mark} {step.name:<44} {seconds:6.1f} s")
            if process.returncode:
                console.print(said, markup=False, soft_wrap=True)
            elif step.says:
                console.print(indent(_worth_showing(said), "    "), markup=False, soft_wrap=True)
        if process.returncode:
            self._fail(f"{step.name} failed")
        return process.returncode == 0

    def _fail(self, reason: str) -> None:
        with self._lock:
            self._failed = self._failed or reason
            for process in self._running:
                process.send_signal(signal.SIGINT)


def _worth_showing(said: str) -> str:
    """The transcript, where there is one, and the last line."""
    _, found, transcript = said.partition(TRANSCRIPT)
    return (found + transcript).strip() if found else said.strip().splitlines()[-1]


@click.command()
@click.argument("what", type=click.Choice(["all", "lint", "more", "lab"]), default="all")
@click.option("--part", type=click.Choice(["", *MORE, *LAB]), default="", help="Only this one.")
@click.option("--brief", is_flag=True, help="The lab in short.")
def main(what: str, part: str, brief: bool) -> None:
    """Lint; lint and what every change must pass; more of that; every service in every place."""
    try:
        assets.build()
        chosen = {
            "lint": lambda: [[lint_steps()]],
            "all": rounds,
            "more": lambda: [[steps_of([part] if part else MORE)]],
            "lab": lambda: [[lab_steps(part, brief)]],
        }
        for tracks in chosen[what]():
            Runner().run(tracks)
    except LabError as error:
        console.print(f"[red]error:[/] {error}")
        sys.exit(1)
    finally:
        if what != "lint":
            _stop_what_tests_stood_on()


def _stop_what_tests_stood_on() -> None:
    quiet, configured = Progress(console, quiet=True), test_home()
    cloud.stop(configured, quiet)
    shared.stop(shared.ENGINES, configured, quiet)


if __name__ == "__main__":
    main()
