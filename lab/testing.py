"""`make test` and `make lint`: every check in its order, each step with its time, the first failure
shown in full and the rest left out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from lab import settings, vagrant
from lab.browser import ensure_browser
from lab.errors import LabError
from lab.openstack import cloud
from lab.progress import Progress
from lab.services import postgresql, shared
from ui import assets

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest")
#: One more than a small machine has cores: a test that waits for a lease or a cloud needs none.
SIDE_BY_SIDE = ("-n", "3", "--dist", "worksteal")
#: The tests of a file share what it has set up on the cloud.
FILES_SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")

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


def test_steps() -> list[Step]:
    return [
        Step("unit", (*PYTEST, "tests/unit"), says=True),
        Step("functional, SQLite", (*PYTEST, *SIDE_BY_SIDE, "tests/functional"), says=True),
        Step(
            "functional, PostgreSQL",
            (*PYTEST, *SIDE_BY_SIDE, "-m", "not any_database", "tests/functional"),
            _postgresql,
            says=True,
        ),
        Step(
            "integration, OpenStack",
            (*PYTEST, *FILES_SIDE_BY_SIDE, "tests/integration"),
            _openstack,
            says=True,
        ),
        Step("browser", (*PYTEST, *SIDE_BY_SIDE, "tests/browser"), _browser, says=True),
    ]


#: What tests of the lab stand on, and where they are.
LAB_PARTS = {
    "servers": (*FILES_SIDE_BY_SIDE, "tests/lab/servers"),
    "machines": ("--ignore=tests/lab/servers", "tests/lab"),
}


def lab_steps(part: str) -> list[Step]:
    """Of the one part that is named, or of all."""
    return [
        Step(f"lab, {name}", (*PYTEST, *arguments), says=True)
        for name, arguments in LAB_PARTS.items()
        if part in ("", name)
    ]


def _vagrant() -> dict[str, str]:
    vagrant.ensure(Progress(console))
    return {"VAGRANT_DOTFILE_PATH": str(vagrant.TOOLS / "vagrant-state")}


def _postgresql() -> dict[str, str]:
    return {"TEST_POSTGRESQL_URL": postgresql.start(settings.load(), Progress(console)).url}


def _openstack() -> dict[str, str]:
    """Integration tests need the APIs, not machines: quick, and the same for every user."""
    os.environ["LAB_DATA_PLANE"] = "none"
    os.environ["LAB_HOME"] = f"var/{settings.TEST_HOME}"
    configured, progress = settings.load(), Progress(console)
    status = cloud.start(configured, progress)
    return {"TEST_CLOUDS_YAML": status.clouds_yaml}


def _browser() -> dict[str, str]:
    return {"TEST_CHROMIUM": ensure_browser(Progress(console))}


def run(steps: list[Step]) -> None:
    """Raises LabError at the first step that fails, after showing all it said."""
    for step in steps:
        started_s = time.monotonic()
        environment = {**os.environ, **step.before(), **step.environment}
        done = subprocess.run(
            step.command,
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started_s
        mark = "[red]✗[/]" if done.returncode else "[green]✓[/]"
        console.print(f"  {mark} {step.name:<44} {seconds:6.1f} s")
        if done.returncode:
            console.print(done.stdout, markup=False, soft_wrap=True)
            raise LabError(f"{step.name} failed")
        if step.says:
            console.print("    " + done.stdout.strip().splitlines()[-1], markup=False)


@click.command()
@click.argument("what", type=click.Choice(["all", "lint", "lab"]), default="all")
@click.option("--part", type=click.Choice(["", *LAB_PARTS]), default="", help="Of the lab's tests.")
def main(what: str, part: str) -> None:
    """Lint; lint and all tests that need no real machines; or the tests of the lab's real parts."""
    try:
        assets.build()
        steps = {
            "lint": lint_steps,
            "all": lambda: [*lint_steps(), *test_steps()],
            "lab": lambda: lab_steps(part),
        }
        run(steps[what]())
    except LabError as error:
        console.print(f"[red]error:[/] {error}")
        sys.exit(1)
    finally:
        if what == "all":
            _stop_what_tests_stood_on()


def _stop_what_tests_stood_on() -> None:
    quiet, configured = Progress(console, quiet=True), settings.load()
    shared.stop(shared.ENGINES, configured, quiet)
    if os.environ.get("LAB_HOME") == f"var/{settings.TEST_HOME}":
        cloud.stop(configured, quiet)
        own = {k: v for k, v in os.environ.items() if k != "LAB_HOME"}
        shared.stop(shared.ENGINES, settings.load(environment=own), quiet)


if __name__ == "__main__":
    main()
