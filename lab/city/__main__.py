"""`python -m lab.city run|stop|status|clean`: the main job of this checkout, by one command."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace

import click
from rich.console import Console

from lab.city.database_story import DatabaseStory
from lab.city.server import Server, load_settings, server_of
from lab.city.story import Story, print_people
from lab.errors import LabError
from lab.kubernetes import cluster
from lab.openstack import cloud
from lab.progress import Progress
from lab.services import endpoints, shared
from lab.settings import TEST_HOME
from ui import assets

console = Console(highlight=False)
#: Shared servers on which the catalogue has a service.
SHARED = ("postgresql",)


@click.group()
def main() -> None:
    """The sample city: its cloud, its control plane, and one request told from form to bill."""


@main.command()
@click.option("--once", is_flag=True, help="Tell the story, stop everything, and end.")
def run(once: bool) -> None:
    """Set up what is missing, start everything, tell the story, and stay up."""
    started_s = time.monotonic()
    progress = Progress(console)
    settings = load_settings()
    server: Server | None = None
    try:
        with progress.step("pages' styles, scripts and translations"):
            assets.build()
        status = cloud.start(settings, progress)
        _say_data_plane(status)
        shared.start(shared.chosen(SHARED), settings, progress)
        endpoints.write_inventory(settings)
        server = server_of(settings, status.clouds_yaml, status.data_plane == "real")
        with progress.step("database, sample city"):
            server.set_up()
        with progress.step("control plane"):
            server.start()
        Story(server, server.var_dir / "keys", console).tell()
        DatabaseStory(server, server.var_dir / "keys", console).tell()
    except LabError as error:
        console.print(f"[red]error:[/] {error}", markup=True)
        _stop(server, once)
        sys.exit(1)
    console.print(f"  自启动起 {time.monotonic() - started_s:.0f} s · since the start\n")
    if once:
        _stop(server, once)
        return
    print_people(server, console)
    console.print("\n  make stop 停止 · stops it;  make clean 清除 · removes everything it made")


def _say_data_plane(status: cloud.Status) -> None:
    if status.data_plane == "real":
        console.print("  数据面 real：主机是真实的 QEMU 虚拟机 · servers are real QEMU machines")
    else:
        console.print(
            "  数据面 none：OpenStack 接口真实，主机背后没有机器 · every API is real, no machine "
            f"behind a server ({status.reason})",
            markup=False,
        )


def _stop(server: Server | None, once: bool) -> None:
    if once and server is not None:
        server.stop()
    if once:
        quiet = Progress(console, quiet=True)
        shared.stop(shared.ENGINES, load_settings(), quiet)
        cloud.stop(load_settings(), quiet)


@main.command()
def stop() -> None:
    """Stop the control plane and the cloud; everything is kept."""
    settings = load_settings()
    if server_of(settings, "", machines_answer=False).stop():
        click.echo("stopped: control plane")
    ended = cluster.stop(settings, Progress(console))
    ended += shared.stop(shared.ENGINES, settings, Progress(console))
    ended += cloud.stop(settings, Progress(console))
    click.echo(f"stopped: {', '.join(ended) or '-'}")


@main.command()
def clean() -> None:
    """Stop everything and remove all it has made in this checkout and on this machine."""
    settings = load_settings()
    server = server_of(settings, "", machines_answer=False)
    server.stop()
    for each in (settings, replace(settings, home=settings.home.with_name(TEST_HOME))):
        # The second: of tests that were killed before they could tidy up.
        if not each.home.exists():
            continue
        cluster.clean(each, Progress(console))
        shared.clean(each, Progress(console))
        cloud.clean(each, Progress(console))
    shutil.rmtree(server.var_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
