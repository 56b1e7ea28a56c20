"""Which TCP ports this checkout uses on loopback, and who holds one that is taken."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from lab.errors import LabError
from lab.settings import Ports

LOOPBACK = "127.0.0.1"


def block_offset(ports: Ports, memory: Path) -> int:
    """The distance of this checkout's block from `ports.first`.

    A fixed `port_offset` wins; otherwise the block remembered in the file `memory`; otherwise the
    first block in which every port is free now, which is then remembered.
    Raises LabError if there is none.
    """
    if ports.port_offset != "auto":
        return ports.port_offset
    with contextlib.suppress(FileNotFoundError):
        return int(json.loads(memory.read_text(encoding="utf-8"))["port_offset"])
    for block in range(ports.blocks):
        offset = block * ports.block_size
        first = ports.first + offset
        if all(_is_free(port) for port in range(first, first + ports.block_size)):
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.write_text(json.dumps({"port_offset": offset}) + "\n", encoding="utf-8")
            return offset
    last = ports.first + ports.blocks * ports.block_size - 1
    raise LabError(
        f"no block of {ports.block_size} free ports between {ports.first} and {last}: "
        "stop other copies of the lab, or set ports.first in lab/settings.toml"
    )


def numbers(ports: Ports, offset: int) -> dict[str, int]:
    """Port by service name for the block at `offset`."""
    return {name: ports.first + offset + at for name, at in ports.numbers.items()}


def listen(name: str, port: int) -> socket.socket:
    """A listening socket on loopback for the service `name`.

    The launcher opens the sockets and hands them to the services: so a taken port is found at
    once and before anything starts, nobody can slip in between, and a service that is asked while
    its neighbour still starts waits in the queue instead of being refused.
    Raises LabError naming the port and, where it can be told, the process that holds it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise LabError(
            f"port {port} for {name} is taken{_by(port)} ({error.strerror}): stop that process, "
            "or give this checkout another block: LAB_PORTS__PORT_OFFSET=<number>, "
            "or remove ports.json in the lab's home and reset the lab"
        ) from error
    return listener


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _by(port: int) -> str:
    holder = holder_of(port)
    if holder is None:
        return ""
    pid, command = holder
    return f" by process {pid} ({command})"


def holder_of(port: int) -> tuple[int, str] | None:
    """The process (pid, command line) that listens on `port`.

    None if nobody does, or it belongs to another user whose files this one may not read.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if inodes.intersection(_open_files(process)):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            return int(process.name), command[:120]
    return None


def _open_files(process: Path) -> set[str]:
    """What the process's file descriptors lead to; those that close meanwhile are left out."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(descriptor.readlink().name)
    return found


def _listening_inodes(port: int) -> set[str]:
    """`socket:[inode]` of every listening IPv4 or IPv6 TCP socket on `port`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *rest = line.split()
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                found.add(f"socket:[{rest[5]}]")
    return found
