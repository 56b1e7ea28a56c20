"""Which TCP ports this checkout uses on loopback, and who holds one that is taken."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import time
from pathlib import Path

from lab.errors import LabError
from lab.settings import Ports

LOOPBACK = "127.0.0.1"
#: One file a block: the copy that has it, by the path of its memory. Ports that are free while a
#: copy is stopped or still starting are not free for others.
CLAIMS = Path(tempfile.gettempdir()) / "controlplane-lab-ports"
#: A claim this young stands although its copy has not written its memory yet.
FRESH_CLAIM_S = 30


def block_offset(ports: Ports, memory: Path) -> int:
    """The distance of this checkout's block from `ports.first`.

    A fixed `port_offset` wins; otherwise the block remembered in the file `memory`; otherwise the
    first block in which every port is free now and which no other copy on this machine, running or
    not, has claimed; it is then remembered. Raises LabError if there is none.
    """
    if ports.port_offset != "auto":
        return ports.port_offset
    with contextlib.suppress(FileNotFoundError):
        offset = int(json.loads(memory.read_text(encoding="utf-8"))["port_offset"])
        _claim(ports.first + offset, memory)  # again: a temporary folder may have been emptied
        return offset
    for block in range(ports.blocks):
        offset = block * ports.block_size
        first = ports.first + offset
        if not _claim(first, memory):
            continue
        if all(_is_free(port) for port in range(first, first + ports.block_size)):
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.write_text(
                json.dumps({"port_offset": offset, "first": first}) + "\n", encoding="utf-8"
            )
            return offset
        _claim_file(first).unlink(missing_ok=True)
    last = ports.first + ports.blocks * ports.block_size - 1
    raise LabError(
        f"no block of {ports.block_size} free ports between {ports.first} and {last}: "
        "stop other copies of the lab, or set ports.first in lab/settings.toml"
    )


def forget(memory: Path) -> None:
    """Gives the remembered block back; fine where none was."""
    with contextlib.suppress(FileNotFoundError):
        first = json.loads(memory.read_text(encoding="utf-8")).get("first", 0)
        memory.unlink()
        if _claimed_by(first) == str(memory):
            _claim_file(first).unlink()
        with contextlib.suppress(OSError):
            CLAIMS.rmdir()


def _claim(first: int, memory: Path) -> bool:
    """Whether the block at port `first` is this copy's now; one that is gone has no claim."""
    CLAIMS.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):
        CLAIMS.chmod(0o1777)
    file = _claim_file(first)
    holder = _claimed_by(first)
    if holder is not None and holder != str(memory):
        if _stands(file, holder):
            return False
        with contextlib.suppress(OSError):
            file.unlink()
    try:
        with file.open("x", encoding="utf-8") as claim:
            claim.write(str(memory))
    except OSError:
        return _claimed_by(first) == str(memory)
    return True


def _stands(file: Path, holder: str) -> bool:
    """Whether a claim is of a copy that is there, or may be: another user's cannot be looked at."""
    try:
        is_fresh = time.time() - file.stat().st_mtime < FRESH_CLAIM_S
        return is_fresh or Path(holder).exists()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _claimed_by(first: int) -> str | None:
    try:
        return _claim_file(first).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def _claim_file(first: int) -> Path:
    return CLAIMS / str(first)


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
