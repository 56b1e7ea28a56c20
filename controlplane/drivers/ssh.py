"""What a machine shows of itself over SSH: its host key, held against the one it announced."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from collections.abc import Iterable
from contextlib import closing

import paramiko

from controlplane.errors import CloudUnavailable

RETRY_SECONDS = 0.2


def prove_host_key(
    address: str, announced: Iterable[str], *, timeout_seconds: float, port: int = 22
) -> str:
    """Waits until the machine at `address` answers with one of the `announced` keys; returns it.

    `announced` are lines "ssh-ed25519 AAAA..." as the machine printed them on its own console,
    which only its owner can read: a stranger on the way cannot stand in. Only a key exchange is
    made, nobody logs in.

    Errors: CloudUnavailable when nothing answers in time or another key is shown.
    """
    expected = {" ".join(line.split()[:2]) for line in announced}
    deadline = time.monotonic() + timeout_seconds
    said = "no answer"
    while time.monotonic() < deadline:
        try:
            shown = _shown_key(address, port)
        except (OSError, EOFError, paramiko.SSHException) as error:
            said = str(error) or type(error).__name__
            time.sleep(RETRY_SECONDS)
            continue
        if shown not in expected:
            raise CloudUnavailable(
                reason=f"{address} shows host key {fingerprint(shown)}, which is not the one that "
                "the machine printed on its console"
            )
        return shown
    raise CloudUnavailable(reason=f"{address} did not answer SSH: {said}")


def _shown_key(address: str, port: int) -> str:
    with closing(socket.create_connection((address, port), timeout=5)) as connection:
        transport = paramiko.Transport(connection)
        try:
            transport.start_client(timeout=15)
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
