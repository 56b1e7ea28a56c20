"""`python -m lab.city run|start|serve|status|stop|clean`: the main job, by one command."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace

import click
from rich.console import Console

from lab.city import whole
from lab.city.application_story import ApplicationStory
from lab.city.containers import Containers
from lab.city.database_story import DatabaseStory
from lab.city.findings import last_words
from lab.city.server import Server, load_settings, server_of
from lab.city.story import Story, print_people
from lab.command_line import as_json
from lab.command_line import run as run_command
from lab.errors import LabError
from lab.kubernetes import cluster
from lab.openstack import cloud
from lab.openstack import paths as openstack_paths
from lab.progress import Progress
from lab.services import endpoints, shared
from lab.settings import Settings
from ui import assets

console = Console(highlight=False)
#: Shared servers on which the catalogue has a service.
SHARED = ("postgresql", "mariadb", "redis", "rabbitmq")


@click.group()
def main() -> None:
    """The sample city: its cloud, its control plane, and one request told from form to bill."""


@main.command()
@click.option("--once", is_flag=True, help="Tell the stories, stop everything, and end.")
@click.option("--without-pods", is_flag=True, help="Neither build nor start Kubernetes.")
def run(once: bool, without_pods: bool) -> None:
    """Set up what is missing, start everything, tell the story, and stay up."""
    started_s = time.monotonic()
    progress = Progress(console)
    settings = load_settings()
    server: Server | None = None
    containers = Containers(settings, progress, console)
    try:
        with progress.step("pages' styles, scripts and translations"):
            _build_pages()
        _say_data_plane(cloud.start(settings, progress))
        shared.start(shared.chosen(SHARED), settings, progress)
        endpoints.write_inventory(settings)
        if not without_pods:
            containers.begin()
        server = _started_server(settings, progress, containers)
        Story(server, server.var_dir / "keys", console).tell()
        if containers.is_building:
            _say_seconds(started_s)
            if not once:
                print_people(server, console)
            containers.finish()
            server.stop()  # and again, with what it is offered now
            server = _started_server(settings, progress, containers)
        _second_story(server)
    except LabError as error:
        words = last_words(server.var_dir, openstack_paths.paths_of(settings)) if server else []
        _stop(server, once, containers)  # before it is told why: that is to be read last
        for line in words:
            console.print(f"  {line}", style="dim", markup=False)
        console.print(f"[red]error:[/] {error}", markup=True)
        sys.exit(1)
    _say_seconds(started_s)
    if once:
        _stop(server, once, containers)
        return
    print_people(server, console)
    console.print("\n  make stop 停止 · stops it;  make clean 清除 · removes everything it made")


def _say_seconds(started_s: float) -> None:
    console.print(f"  自启动起 {time.monotonic() - started_s:.0f} s · since the start\n")


def _started_server(settings: Settings, progress: Progress, containers: Containers) -> Server:
    server = _prepared_server(settings, progress)
    if not containers.has_pods:  # a cluster that ran before may have left its kubeconfig
        server = replace(server, kubeconfig="", kubernetes_inventory="")
    with progress.step("control plane"):
        server.start()
    return server


def _say_data_plane(status: cloud.Status) -> None:
    if status.data_plane == "real":
        console.print("  数据面 real：主机是真实的 QEMU 虚拟机 · servers are real QEMU machines")
    else:
        console.print(
            "  数据面 none：OpenStack 接口真实，主机背后没有机器 · every API is real, no machine "
            f"behind a server ({status.reason})",
            markup=False,
        )


def _second_story(server: Server) -> None:
    """Without pods the half of it that needs none, and what was left out."""
    if server.kubeconfig:
        ApplicationStory(server, server.var_dir / "keys", console).tell()
        return
    DatabaseStory(server, server.var_dir / "keys", console).tell()
    console.print(
        "  没有容器平台，略去：使用该数据库的网站应用 · left out, for want of Kubernetes: the web "
        "application that uses this database\n",
    )


def _stop(server: Server | None, once: bool, containers: Containers) -> None:
    if not once:
        return
    if server is not None:
        server.stop()
    quiet = Progress(console, quiet=True)
    if not containers.is_building:  # nothing of it runs, and the build has its turn
        cluster.stop(load_settings(), quiet)
    shared.stop(shared.ENGINES, load_settings(), quiet)
    cloud.stop(load_settings(), quiet)


@main.command()
def start() -> None:
    """Start the control plane on the sample city, beside a cloud that runs; no story is told."""
    progress = Progress(console)
    with progress.step("control plane"):
        _prepared_server(load_settings(), progress).start()


@main.command()
def serve() -> None:
    """As `start`, in the foreground: for a supervisor."""
    _prepared_server(load_settings(), Progress(console)).serve()


def _prepared_server(settings: Settings, progress: Progress) -> Server:
    """The control plane with pages and database, ready to start. Raises LabError."""
    status = cloud.status(settings)
    if not status.ready:
        raise LabError("OpenStack does not run yet: `python -m lab.openstack start`")
    with progress.step("pages' styles, scripts and translations"):
        _build_pages()
    server = server_of(settings, status.clouds_yaml, status.data_plane == "real")
    with progress.step("database, sample city"):
        server.set_up()
    return server


def _build_pages() -> None:
    try:
        assets.build()
    except assets.AssetsError as error:
        raise LabError(f"pages: {error}") from error


@main.command()
@as_json
def status(json_: bool) -> None:
    """Say what runs of the whole lab; exit status 0 if all of it does, 3 if not."""
    parts = whole.status(load_settings())
    if json_:
        click.echo(json.dumps([asdict(part) for part in parts], indent=1))
    else:
        for part in parts:
            state = "ready" if part.ready else "not ready"
            click.echo(f"{part.name:<13} {state:<10} {part.rss_mib:>5} MiB  {part.behind}")
            if part.place:
                click.echo(f"    {part.place}")
    sys.exit(0 if all(part.ready for part in parts) else 3)


@main.command()
def stop() -> None:
    """Stop everything; all of it is kept."""
    ended = whole.stop(load_settings(), Progress(console))
    click.echo(f"stopped: {', '.join(ended) or '-'}")


@main.command()
def clean() -> None:
    """Stop everything and remove all it has made in this checkout and on this machine."""
    taken_back = whole.clean(load_settings(), Progress(console))
    for kind, lines in taken_back.items():
        click.echo(f"taken back, {kind} ({len(lines)}): {', '.join(lines) or '-'}")


if __name__ == "__main__":
    run_command(main)
