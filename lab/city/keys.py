"""A clerk's own SSH key, and a log-in with it that accepts one host key only."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.errors import LabError

LOGIN_TIMEOUT_S = 30


@dataclass(frozen=True)
class Key:
    """`public` is a line for authorized_keys."""

    private: Path
    public: str


def make_key(folder: Path) -> Key:
    """The key in `folder`, made once, readable by nobody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = folder / "id_ed25519"
    if not private.exists():
        private.touch(mode=0o600)
        private.write_bytes(
            Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
        )
    key = paramiko.Ed25519Key.from_private_key_file(str(private))
    return Key(private, f"{key.get_name()} {key.get_base64()} limin@civil-affairs")


def log_in(address: str, key: Key, host_key: str) -> str:
    """What `uname -n` says over SSH; any other host key than `host_key` is refused."""
    kind, _, encoded = host_key.partition(" ")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    expected = paramiko.PKey.from_type_string(kind, base64.b64decode(encoded.split()[0]))
    client.get_host_keys().add(address, kind, expected)
    try:
        client.connect(
            address,
            username="root",
            key_filename=str(key.private),
            timeout=LOGIN_TIMEOUT_S,
            allow_agent=False,
            look_for_keys=False,
        )
        _, out, _ = client.exec_command("uname -n", timeout=LOGIN_TIMEOUT_S)
        return out.read().decode().strip()
    except (paramiko.SSHException, OSError) as error:
        raise LabError(f"SSH to {address}: {error}") from error
    finally:
        client.close()
