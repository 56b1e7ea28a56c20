"""What a machine shows of itself over SSH: its host key, held against the one it announced."""

from __future__ import annotations

import base64
import errno
import hashlib
import math
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import cast

import paramiko

from controlplane.errors import CloudUnavailable

#: Between knocks at a port that nobody opens yet. A machine without a network lets the first packet
#: of a connection fall, which is sent again only after 1, 3 and 7 seconds: a new knock is quicker.
KNOCK_SECONDS = 0.1
#: How long a knock waits to be let in, beside those that follow it.
PATIENCE_SECONDS = 5.0
EXCHANGE_SECONDS = 15
#: Between looks at the console, which cost the cloud a call each.
LOOK_SECONDS = 0.5

Announced = Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Rescue:
    """What is done, once, for a machine that has neither answered nor printed a key after a while:
    it may have stuck as it booted."""

    after_seconds: float
    start_again: Callable[[], None]


def prove_host_key(
    address: str,
    announced: Announced,
    *,
    timeout_seconds: float,
    port: int = 22,
    rescue: Rescue | None = None,
) -> str:
    """Waits until the machine at `address` answers with a key that it announced; returns the key.

    `announced` gives lines "ssh-ed25519 AAAA..." as the machine printed them on its own console,
    which only its owner can read: a stranger on the way cannot stand in. It is asked once the
    machine answers, for it has printed them before that, and until it gives any. Only a key
    exchange is made, nobody logs in.

    Errors: CloudUnavailable when nothing answers in time, nothing is announced or another key is
    shown.
    """
    deadline = time.monotonic() + timeout_seconds
    if rescue is None:
        shown = _wait_for_key(address, port, deadline)
    else:
        try:
            shown = _wait_for_key(address, port, time.monotonic() + rescue.after_seconds)
        except CloudUnavailable:
            if not list(announced()):  # what has printed its keys runs: its network is the trouble
                rescue.start_again()
            shown = _wait_for_key(address, port, deadline)
    while not (expected := {" ".join(line.split()[:2]) for line in announced()}):
        if time.monotonic() > deadline:
            raise CloudUnavailable(reason=f"{address} printed no host key on its console")
        time.sleep(LOOK_SECONDS)
    if shown not in expected:
        raise CloudUnavailable(
            reason=f"{address} shows host key {fingerprint(shown)}, which is not the one that "
            "the machine printed on its console"
        )
    return shown


def _wait_for_key(address: str, port: int, deadline: float) -> str:
    said = "no answer"
    while time.monotonic() < deadline:
        try:
            with closing(_let_in(address, port, deadline)) as connection:
                return _shown_key(connection)
        except (OSError, EOFError, paramiko.SSHException) as error:
            said = str(error) or type(error).__name__
            time.sleep(KNOCK_SECONDS)
    raise CloudUnavailable(reason=f"{address} did not answer SSH: {said}")


def _let_in(address: str, port: int, deadline: float) -> socket.socket:
    """The first connection to be let in, of one begun every `KNOCK_SECONDS`.

    Errors: OSError of the last that was refused, TimeoutError when none was answered.
    """
    refused: OSError = TimeoutError("no answer")
    ways = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, target = ways[0]
    begun: dict[socket.socket, float] = {}  # in their order
    with selectors.DefaultSelector() as answers:
        try:
            while (now := time.monotonic()) < deadline:
                knock = socket.socket(family, kind, protocol)
                begun[knock] = now
                knock.setblocking(False)
                code = knock.connect_ex(target)
                if code in (0, errno.EINPROGRESS):
                    answers.register(knock, selectors.EVENT_WRITE)
                else:
                    refused = OSError(code, os.strerror(code))
                while (left := now + KNOCK_SECONDS - time.monotonic()) > 0:
                    for answer, _ in answers.select(left):
                        answered = cast(socket.socket, answer.fileobj)
                        answers.unregister(answered)
                        code = answered.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                        if code == 0:
                            del begun[answered]
                            return answered
                        refused = OSError(code, os.strerror(code))
                _give_up_before(now - PATIENCE_SECONDS, begun, answers)
        finally:
            _give_up_before(math.inf, begun, answers)
    raise refused


def _give_up_before(
    moment: float, begun: dict[socket.socket, float], answers: selectors.BaseSelector
) -> None:
    for knock in [knock for knock, at in begun.items() if at < moment]:
        with suppress(KeyError):  # answered before: it was refused
            answers.unregister(knock)
        knock.close()
        del begun[knock]


def _shown_key(connection: socket.socket) -> str:
    connection.settimeout(EXCHANGE_SECONDS)
    transport = paramiko.Transport(connection)
    try:
        transport.start_client(timeout=EXCHANGE_SECONDS)
        key = transport.get_remote_server_key()
    finally:
        transport.close()
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint(key_line: str) -> str:
    """SHA256:... of a key line, as OpenSSH writes it."""
    digest = hashlib.sha256(base64.b64decode(key_line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def announced_keys(console: str) -> list[str]:
    """Key lines of the last block that cloud-init's keys-to-console (or a guest like it) printed.

    The console keeps earlier boots, so only the last whole block counts.
    """
    blocks = console.split("-----BEGIN SSH HOST KEY KEYS-----")[1:]
    whole = [b.split("-----END SSH HOST KEY KEYS-----")[0] for b in blocks if "-----END SSH" in b]
    if not whole:
        return []
    return [line.strip() for line in whole[-1].splitlines() if line.strip().startswith("ssh-")]
