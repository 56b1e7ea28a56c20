"""Passes what the node and its pods send to a few ports of the node's address on to the machine's
loopback, and nothing else: their only way out.

It opens its sockets in the node's network, steps over into the machine's, and serves there as the
unprivileged user. So nothing of the lab listens on an address that others could reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from functools import partial
from pathlib import Path

from lab.kubernetes.inside.facts import Facts
from lab.ports import LOOPBACK

CLONE_NEWNET = 0x40000000
CHUNK_BYTES = 64 * 1024


def main() -> None:
    facts, outside = Facts.read(Path(sys.argv[1])), int(sys.argv[2])
    sockets = {port: _listen(facts.node_address, port) for port in facts.gateway_ports}
    _step_over(outside)
    if facts.gateway_uid is not None and facts.gateway_gid is not None:
        os.setgroups([])
        os.setgid(facts.gateway_gid)
        os.setuid(facts.gateway_uid)
    asyncio.run(serve(sockets))


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    return listener


def _step_over(namespace: int) -> None:
    """Enters the network namespace of a descriptor; open sockets stay in theirs."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    os.close(namespace)


async def serve(sockets: dict[int, socket.socket]) -> None:
    """Passes each socket's connections on to the same port of loopback, for ever."""
    for port, listener in sockets.items():
        await asyncio.start_server(partial(_pass_on, port), sock=listener)
    await asyncio.Event().wait()


async def _pass_on(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there_reader, there_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:  # nobody listens: the pod sees a connection that closes at once
        writer.close()
        return
    await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end; the other direction may go on after it."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            return
    writer.close()


if __name__ == "__main__":
    main()
